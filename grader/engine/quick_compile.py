"""How XLA compiles what is to run once or twice: in a third of the time, to slower programs."""

from __future__ import annotations

from jaxlib.version import __version__

QUICKLY: dict[str, str | bool] = {
    "xla_backend_optimization_level": "0",
    "xla_llvm_disable_expensive_passes": True,
}
if __version__.startswith("0.10."):  # later ones do not know it, and refuse to compile
    QUICKLY["xla_cpu_use_fusion_emitters"] = False

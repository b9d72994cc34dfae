"""Where arrays lie: one device, all devices of a machine, several machines.

Data parallel: every device has the parameters and works on its share of each batch; XLA adds the
gradients up.  With ``fsdp`` (Zhao et al. 2023, PyTorch FSDP, arXiv 2304.11277; Rajbhandari et al.
2020, ZeRO, arXiv 1910.02054) parameters and optimiser state are divided among the devices, too,
each along its longest axis that can be divided; XLA gathers them where they are used.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from solutions.training.one_line import one_line

_AXIS = "data"
_Result = TypeVar("_Result")


class BadDevices(ValueError):
    """The batch, or the processes, do not fit the devices; the message says how."""


@dataclass(frozen=True)
class Placement:
    """Devices in a row, and how the state lies on them.

    Attributes:
      mesh: the devices, of all processes.
      fsdp: whether parameters and optimiser state are divided among them.

    """

    mesh: Mesh
    fsdp: bool = False

    @property
    def replicated(self) -> NamedSharding:
        """Everything everywhere."""
        return NamedSharding(self.mesh, PartitionSpec())

    @property
    def by_row(self) -> NamedSharding:
        """The first axis divided among the devices."""
        return NamedSharding(self.mesh, PartitionSpec(_AXIS))

    def of_state(self, shapes: Any) -> Any:
        """A sharding for each leaf of a tree of shapes."""
        if not self.fsdp:
            return jax.tree.map(lambda _: self.replicated, shapes)
        return jax.tree.map(self._divided, shapes)

    def _divided(self, leaf: Any) -> NamedSharding:
        count = self.mesh.size
        axes = [axis for axis, size in enumerate(leaf.shape) if size % count == 0]
        if not axes or count == 1:
            return self.replicated
        longest = max(axes, key=lambda axis: leaf.shape[axis])
        names = [_AXIS if axis == longest else None for axis in range(leaf.ndim)]
        return NamedSharding(self.mesh, PartitionSpec(*names))

    def everywhere(self, array: np.ndarray) -> jax.Array:
        """The same array on every device (every process must have the same)."""
        return jax.device_put(array, self.replicated)


def all_devices() -> list[jax.Device]:
    """All that JAX has.

    Raises:
      BadDevices: there are none of the kind that ``JAX_PLATFORMS`` asks for.

    """
    try:
        return jax.devices()
    except (RuntimeError, AssertionError):  # the latter where CUDA is asked for and not there
        asked = jax.config.jax_platforms
        if not asked:
            raise
        raise BadDevices(
            f"JAX_PLATFORMS is {asked!r}, but JAX finds no such device; leave it out, or say "
            "JAX_PLATFORMS=cpu"
        ) from None


def told() -> str:
    """How many devices there are, and of which kind."""
    return f"{jax.device_count()} × {jax.devices()[0].device_kind}"


def placement(
    batch_size: int, devices: Sequence[jax.Device] | None = None, fsdp: bool = False
) -> Placement:
    """All devices, or those given.

    Raises:
      BadDevices: there are none, or the batch cannot be divided among them.

    """
    chosen = all_devices() if devices is None else list(devices)
    if not chosen or not all(isinstance(device, jax.Device) for device in chosen):
        raise BadDevices(
            f"devices is {devices!r}; it must be a list of some of jax.devices(), or None for all"
        )
    if batch_size % len(chosen):
        raise BadDevices(
            f"a batch of {batch_size} images cannot be divided among {len(chosen)} devices; "
            f"take a multiple of {len(chosen)}, e.g. batch_size={_nearby(batch_size, len(chosen))}"
        )
    mesh = Mesh(np.array(chosen), (_AXIS,), axis_types=(AxisType.Auto,))
    return Placement(mesh, fsdp)


def _nearby(batch_size: int, count: int) -> int:
    return max(1, round(batch_size / count)) * count


def join_processes(
    coordinator: str | None, num_processes: int | None, process_id: int | None
) -> None:
    """Make one machine of several; before anything else touches JAX.

    Without arguments JAX asks the environment (Slurm, GKE and others that
    ``jax.distributed.initialize`` knows).

    Raises:
      BadDevices: some of the three are given, but not all; or nobody answers.

    """
    given = (coordinator, num_processes, process_id)
    if any(part is None for part in given) and any(part is not None for part in given):
        raise BadDevices("coordinator, number of processes and process id go together")
    if coordinator is not None and not re.fullmatch(r".+:\d+", coordinator):
        raise BadDevices(f"the coordinator is {coordinator!r}; it must be host:port")
    try:
        jax.distributed.initialize(coordinator, num_processes, process_id)
    except (RuntimeError, ValueError) as error:
        raise BadDevices(f"the processes did not find each other: {one_line(error)}") from None


def any_process(flag: bool) -> bool:
    """Whether the flag is up in any process; all have to ask at the same point."""
    if jax.process_count() == 1:
        return flag
    from jax.experimental import multihost_utils

    return bool(np.any(multihost_utils.process_allgather(np.array(flag))))


def fail_together(failed: Exception | None) -> None:
    """Raise in all processes where something has failed in one; all ask at the same point.

    Args:
      failed: what went wrong in this one.

    Raises:
      BadDevices: nothing did, but it did in another.

    """
    try:
        somewhere = any_process(failed is not None)
    except Exception:
        raise failed or BadDevices("the other processes are gone; one of them says why") from None
    if somewhere:
        raise failed or BadDevices("another process has failed; it says why")


def in_all_processes(act: Callable[[], _Result]) -> _Result:
    """What ``act`` gives in each process; if it fails in one, all fail, and none waits.

    Raises:
      BadDevices: it failed in another one.

    """
    result: list[_Result] = []
    failed = None
    try:
        result.append(act())
    except Exception as error:
        failed = error
    fail_together(failed)
    return result[0]


def in_first_process(act: Callable[[], _Result]) -> _Result | None:
    """What ``act`` gives in the first process, None in the others; if it fails, all fail.

    Raises:
      BadDevices: it failed in the first process, in the others.

    """
    return in_all_processes(lambda: act() if jax.process_index() == 0 else None)


def of_first_process(text: str) -> str:
    """What the first process says, in all of them; up to 4,000 bytes."""
    if jax.process_count() == 1:
        return text
    from jax.experimental import multihost_utils

    told = np.frombuffer(text.encode().ljust(4000, b"\0"), np.uint8)
    return bytes(multihost_utils.broadcast_one_to_all(told)).rstrip(b"\0").decode()


def check_same(parts: Callable[[], Mapping[str, object]]) -> None:
    """Whether all processes were started alike; else all fail, and none waits.

    Processes that were not would train apart without a word, or wait for each other for ever.

    Args:
      parts: gives what has to be the same, by name; not asked where there is one process.

    Raises:
      BadDevices: something is not what it is in the first process; that one says which.

    """
    if len({device.process_index for device in all_devices()}) == 1:
        return

    def compare() -> None:
        digests = {
            name: hashlib.sha256(str(part).encode()).hexdigest()[:16]
            for name, part in parts().items()
        }
        of_first = json.loads(of_first_process(json.dumps(digests)))
        other = [name for name, digest in digests.items() if digest != of_first[name]]
        if other:
            raise BadDevices(
                f"{', '.join(other)}: not the same here as in the first process; start all with "
                "the same settings and the same images"
            )

    in_all_processes(compare)


def on_host(tree: Any) -> Any:
    """The arrays of a tree as NumPy's, wherever their parts lie; all processes have to ask."""
    from jax.experimental import multihost_utils

    def whole(leaf: Any) -> np.ndarray:
        if leaf.is_fully_addressable or leaf.is_fully_replicated:
            return np.asarray(leaf)
        return np.asarray(multihost_utils.process_allgather(leaf, tiled=True))

    return jax.tree.map(whole, tree)


def computing_on_host() -> AbstractContextManager[Any]:
    """For what runs once, or is tiny: a GPU would gain nothing, and compiling for it takes longer.

    XLA compiled the start of ``cifar10`` for an NVIDIA H200 in 22 s; for a CPU it takes 3.
    """
    try:
        return jax.default_device(jax.local_devices(backend="cpu")[0])
    except RuntimeError:  # JAX_PLATFORMS leaves the CPU out
        return nullcontext()


def compiler_options() -> dict[str, bool]:
    """For XLA, for programs that run many times.

    On GPUs without Triton's kernels for products, which XLA would try out one by one.  For
    ``cifar10`` on an NVIDIA H200 it compiled in 20 s with them and in 14 to 17 s without, and a
    step took 2.5 % longer with them.
    """
    return {"xla_gpu_enable_triton_gemm": False} if jax.default_backend() == "gpu" else {}

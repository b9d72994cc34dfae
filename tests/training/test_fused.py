"""Fused attention: the same numbers whatever the sizes, and sizes that cuDNN takes."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from grader.catalogue import ROOT
from grader.engine.submission import load
from solutions.distillation.attention import layout_for, padded, plain
from solutions.distillation.settings import STUDENT, Distillation
from solutions.distillation.task import student_of
from solutions.training import models
from solutions.training.devices import compiler_options
from solutions.training.fused import attend, fuses_attention
from solutions.training.mine_model import model_of
from solutions.training.recipe import Recipe

HEADS = 2


def qkv(tokens: int, channels: int) -> tuple[jax.Array, ...]:
    """For a batch of three."""
    keys = jax.random.split(jax.random.key(0), 3)
    return tuple(jax.random.normal(key, (3, tokens, HEADS, channels)) for key in keys)


def with_gradients(mix: Callable[..., jax.Array]) -> Callable[..., Any]:
    """Values of a batch, and the gradients of a number made of them."""

    def number(*given: jax.Array) -> tuple[jax.Array, jax.Array]:
        mixed = jax.vmap(mix)(*given)
        return jnp.sin(mixed).sum(), mixed

    return jax.jit(jax.value_and_grad(number, argnums=(0, 1, 2), has_aux=True))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("tokens", "channels"), [(4, 8), (5, 8), (5, 3), (1, 1)])
def test_padding_changes_no_number_and_no_gradient(
    tokens: int, channels: int, masked: bool
) -> None:
    mask = jnp.tril(jnp.ones((tokens, tokens), bool)) if masked else None
    given = qkv(tokens, channels)
    expected = with_gradients(lambda *parts: plain(*parts, mask))(*given)
    found = with_gradients(lambda *parts: attend(*parts, "xla", mask))(*given)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), found, expected)


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """As if there were a GPU of a compute capability; programs can be lowered for it, not run."""
    internals = pytest.importorskip("jax._src.cudnn.fused_attention_stablehlo")
    monkeypatch.setattr(internals, "check_cudnn_version", lambda: 91002)
    monkeypatch.setattr(internals, "check_compute_capability", lambda wanted: wanted == "8.0")
    monkeypatch.setattr(internals, "is_cuda_compute_capability_equal", lambda wanted: False)

    def pretend(capability: str) -> None:
        device = SimpleNamespace(compute_capability=capability)
        monkeypatch.setattr(jax, "local_devices", lambda: [device])
        monkeypatch.setattr(jax, "default_backend", lambda: "gpu")

    return pretend


def lowered(function: Callable[..., Any], *given: Any) -> str:
    """The program of ``function`` for CUDA, where JAX itself refuses sizes that cuDNN lacks."""
    calls = ("__cudnn$fmhaSoftmax", "__cudnn$fmhaSoftmaxBackward", "__cudnn$fmhaScaleBiasSoftmax")
    names = (*calls, "__cudnn$fmhaScaleBiasSoftmaxBackward")
    trusted = [export.DisabledSafetyCheck.custom_call(name) for name in names]
    wanted = export.export(jax.jit(function), platforms=["cuda"], disabled_checks=trusted)
    return wanted(*given).mlir_module()


@pytest.mark.parametrize("masked", [False, True])
def test_cudnn_takes_the_sizes_of_the_distilled_student(
    cuda: Callable[[str], None], masked: bool
) -> None:
    cuda("8.0")
    mask = jnp.eye(65, dtype=bool) if masked else None
    given = [part.astype(jnp.bfloat16) for part in qkv(65, 33)]
    program = lowered(with_gradients(lambda *parts: padded(*parts, mask)), *given)
    assert program.count("@__cudnn$fmha") == 2, "one call forward and one backward"


@pytest.mark.parametrize("kind", models.PROBLEMS)
def test_a_model_trains_with_fused_attention(kind: str, cuda: Callable[[str], None]) -> None:
    cuda("9.0")
    recipe = Recipe(
        model=kind, patch_size=8, width=24, heads=2, depth=2, mlp=16, registers=2, drop_path=0.1
    )
    model = models.build(recipe, (32, 32, 3), 10)
    params = jax.eval_shape(model.init, jax.random.key(0))
    images = jax.ShapeDtypeStruct((4, 32, 32, 3), np.float32)

    def loss(params: Any, images: Any) -> jax.Array:
        return model.apply(params, images, jax.random.key(1)).sum()

    program = lowered(jax.grad(loss), params, images)
    assert program.count("@__cudnn$fmha") == 2 * recipe.depth
    products = [line for line in program.splitlines() if "stablehlo.dot_general" in line]
    assert len(products) > 6 * recipe.depth
    assert not [line for line in products if "f32>" in line.rpartition(":")[2]]


@pytest.mark.parametrize("name", ["jit_whole_static", "manual_lax_scan", "setup_fused_qkv"])
def test_a_students_model_trains_with_it_too(name: str, cuda: Callable[[str], None]) -> None:
    cuda("9.0")
    recipe = Recipe(model="cls", patch_size=8, width=24, heads=2, depth=2, mlp=16)
    path = ROOT / "tests" / "answers" / "46_vit_cls" / "right" / f"{name}.py"
    answer = load(path.read_text(), str(path), "answer")
    model = model_of(answer, recipe, (32, 32, 3), 10)
    params = jax.eval_shape(model.init, jax.random.key(0))
    images = jax.ShapeDtypeStruct((4, 32, 32, 3), np.float32)

    def loss(params: Any, images: Any) -> jax.Array:
        return model.apply(params, images).sum()

    program = lowered(jax.grad(loss), params, images)
    assert program.count("@__cudnn$fmha") == 2 * recipe.depth  # loops are written out


@pytest.mark.parametrize(
    ("capability", "type_", "fused"),
    [("7.5", "float32", False), ("8.0", "bfloat16", True), ("gfx90a", "bfloat16", False)],
)
def test_only_what_the_device_gains_from(
    capability: str, type_: str, fused: bool, cuda: Callable[[str], None]
) -> None:
    cuda(capability)
    dtype = jnp.dtype(models.compute_dtype(Recipe()))
    assert (dtype.name, fuses_attention(dtype, 64)) == (type_, fused)
    layout = "padded" if fused else "apart"
    assert layout_for(dtype, 33) == student_of(Distillation(STUDENT)).layout == layout
    assert not fuses_attention(jnp.bfloat16, 129)
    assert not fuses_attention(jnp.float32, 64)


def test_nothing_is_fused_on_cpus() -> None:
    assert models.compute_dtype(Recipe()) == jnp.float32
    assert layout_for(jnp.bfloat16, 33) == "apart"


def test_xla_knows_what_it_is_told_on_a_gpu(cuda: Callable[[str], None]) -> None:
    cuda("9.0")
    options = compiler_options()
    assert options
    assert jax.jit(lambda x: x + 1, compiler_options=options)(1) == 2
    with pytest.raises(jax.errors.JaxRuntimeError, match="No such compile option"):
        jax.jit(lambda x: x + 1, compiler_options={"xla_gpu_unknown": False})(1)

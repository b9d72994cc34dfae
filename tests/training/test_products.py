"""Products, convolutions and loops are made quicker, and compute the same."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from solutions.training.products import with_fast_products


def test_narrow_products_stay_close_and_have_gradients() -> None:
    weights = jax.random.normal(jax.random.key(0), (3, 16, 24))
    tokens = jax.random.normal(jax.random.key(1), (4, 5, 16))

    def run(tokens: Any, weights: Any) -> Any:
        hidden = jax.vmap(lambda x: jnp.einsum("td,hde->hte", x, weights))(tokens)
        scores = jnp.einsum("bhqe,bhke->bhqk", hidden, hidden)
        return jnp.tanh(jnp.einsum("bhqk,bhke->bqhe", scores / 500, hidden)).sum()

    plain = jax.jit(jax.value_and_grad(run, argnums=(0, 1)))(tokens, weights)
    fast = with_fast_products(run, narrow=True)
    narrow = jax.jit(jax.value_and_grad(fast, argnums=(0, 1)))(tokens, weights)
    for one, other in zip(jax.tree.leaves(plain), jax.tree.leaves(narrow), strict=True):
        assert one.shape == other.shape
        assert jnp.linalg.norm(one - other) < 0.03 * jnp.linalg.norm(one)
    program = str(jax.make_jaxpr(fast)(tokens, weights))
    assert program.count("bf16") > program.count("preferred_element_type=float32") >= 3


@pytest.mark.parametrize("reverse", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("passes, stays", [(3, False), (40, True), (0, True)])
@pytest.mark.parametrize("narrow", [False, True])
def test_a_loop_over_layers_is_written_out(
    reverse: bool, passes: int, stays: bool, narrow: bool
) -> None:
    kernels = jax.random.normal(jax.random.key(0), (passes, 6, 6)) / 3
    biases = jax.random.normal(jax.random.key(1), (passes, 6))
    tokens, scale = jax.random.normal(jax.random.key(2), (5, 6)), jnp.arange(6.0)

    def run(tokens: Any, kernels: Any, biases: Any, scale: Any) -> Any:
        def layer(carry: Any, layer: Any) -> Any:
            x, count = carry
            kernel, bias = layer
            x = jnp.tanh(x @ kernel + bias * scale)
            return (x, count + 1), (x[0], count)

        (x, count), (rows, counts) = jax.lax.scan(
            layer, (tokens, 0), (kernels, biases), reverse=reverse
        )
        return (x**2).sum() + (rows * scale).sum(), (count, counts)

    given = (tokens, kernels, biases, scale)
    fast = with_fast_products(run, narrow=narrow)
    assert ("scan" in str(jax.make_jaxpr(fast)(*given))) == stays
    wanted = jax.jit(jax.value_and_grad(run, argnums=range(4), has_aux=True))(*given)
    found = jax.jit(jax.value_and_grad(fast, argnums=range(4), has_aux=True))(*given)
    for one, other in zip(jax.tree.leaves(wanted), jax.tree.leaves(found), strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype
        apart = jnp.linalg.norm(1.0 * (one - other))
        assert apart <= (0.05 if narrow else 1e-5) * jnp.linalg.norm(1.0 * one)


def test_a_loop_without_products_stays_a_loop() -> None:
    def run(x: Any) -> Any:
        return jax.lax.scan(lambda carry, row: (carry + row, carry * row), x[0], x)

    assert "scan" in str(jax.make_jaxpr(with_fast_products(run, narrow=True))(jnp.ones((3, 4))))


@pytest.mark.parametrize("narrow", [False, True])
def test_nothing_is_computed_twice_for_the_gradients(narrow: bool) -> None:
    def run(x: Any, kernel: Any) -> Any:
        return jax.checkpoint(lambda x: jnp.tanh(x @ kernel) @ kernel.T)(x).sum()

    def products(function: Any) -> int:
        gradients = jax.grad(function, argnums=(0, 1))
        return str(jax.make_jaxpr(gradients)(jnp.ones((2, 3)), jnp.ones((3, 4)))).count("dot_gen")

    assert products(with_fast_products(run, narrow=narrow)) == 2 * 3 < products(run)


def test_gradients_of_narrow_products_may_be_transposed() -> None:
    """Which jaxlib 0.12 takes for one product with them, that it then has no kernel for."""
    x = jax.random.normal(jax.random.key(0), (4, 6, 8))
    kernel = jax.random.normal(jax.random.key(1), (5, 8))

    def run(x: Any, kernel: Any) -> Any:
        return jnp.tanh(x @ kernel.T).sum()

    wanted = jax.jit(jax.grad(run, argnums=(0, 1)))(x, kernel)
    fast = with_fast_products(run, narrow=True)
    found = jax.jit(jax.grad(fast, argnums=(0, 1)))(x, kernel)
    for one, other in zip(wanted, found, strict=True):
        assert jnp.linalg.norm(one - other) < 0.03 * jnp.linalg.norm(one)


@pytest.mark.parametrize(
    "formula, left, right",
    [
        ("btd,dhk->bthk", (32, 64, 192), (192, 6, 64)),
        ("bthd,hde->bte", (32, 64, 3, 64), (3, 64, 320)),
        ("btd,ed->bte", (32, 64, 192), (320, 192)),
        ("dbt,edf->btef", (192, 32, 64), (6, 192, 64)),
    ],
)
def test_large_products_are_products_of_matrices(
    formula: str, left: tuple[int, ...], right: tuple[int, ...]
) -> None:
    x, kernel = (np.random.default_rng(0).normal(size=s).astype("f") for s in (left, right))

    def run(x: Any, kernel: Any) -> Any:
        return jnp.tanh(jnp.einsum(formula, x, kernel) / 20).sum()

    fast = with_fast_products(run, narrow=False)
    wanted = jax.jit(jax.value_and_grad(run, argnums=(0, 1)))(x, kernel)
    found = jax.jit(jax.value_and_grad(fast, argnums=(0, 1)))(x, kernel)
    for one, other in zip(jax.tree.leaves(wanted), jax.tree.leaves(found), strict=True):
        assert one.shape == other.shape
        assert jnp.linalg.norm(one - other) < 1e-5 * jnp.linalg.norm(one)

    def axes_of_products(function: Any, x: Any, kernel: Any) -> set[int]:
        program = jax.make_jaxpr(jax.grad(function, argnums=(0, 1)))(x, kernel)
        products = [e for e in program.eqns if e.primitive.name == "dot_general"]
        assert len(products) == 3
        return {variable.aval.ndim for equation in products for variable in equation.invars}

    assert axes_of_products(fast, x, kernel) == {2}
    a_few = [slice(2) if letter == "b" else slice(None) for letter in formula.partition(",")[0]]
    assert max(axes_of_products(fast, x[tuple(a_few)], kernel)) > 2  # small: as they are


LAYOUTS = [("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NCHW"), ("HNWC", "IHOW", "CHNW")]


@pytest.mark.parametrize("layout", LAYOUTS, ids="".join)
@pytest.mark.parametrize("narrow", [False, True])
def test_a_convolution_that_cuts_patches_becomes_a_product(
    layout: tuple[str, str, str], narrow: bool
) -> None:
    sizes = {"N": 2, "H": 7, "W": 8, "C": 3}  # of 7 rows the last is in no patch
    kernel_sizes = {"H": 3, "W": 2, "I": 3, "O": 5}
    images = jax.random.normal(jax.random.key(0), tuple(sizes[axis] for axis in layout[0]))
    kernel = jax.random.normal(jax.random.key(1), tuple(kernel_sizes[axis] for axis in layout[1]))

    def run(images: Any, kernel: Any) -> Any:
        found = jax.lax.conv_general_dilated(
            images, kernel, (3, 2), "VALID", dimension_numbers=layout
        )
        return (found**2).sum(), found

    fast = with_fast_products(run, narrow=narrow)
    assert "conv_general_dilated" not in str(jax.make_jaxpr(fast)(images, kernel))
    wanted = jax.jit(jax.value_and_grad(run, argnums=(0, 1), has_aux=True))(images, kernel)
    found = jax.jit(jax.value_and_grad(fast, argnums=(0, 1), has_aux=True))(images, kernel)
    for one, other in zip(jax.tree.leaves(wanted), jax.tree.leaves(found), strict=True):
        assert jnp.linalg.norm(one - other) < (0.01 if narrow else 1e-5) * jnp.linalg.norm(one)


@pytest.mark.parametrize(
    "changes",
    [
        {"window_strides": (1, 3)},
        {"padding": "SAME"},
        {"padding": ((0, 0), (3, 0))},
        {"rhs_dilation": (2, 1)},
        {"padding": ((0, 0), (0, 0)), "lhs_dilation": (1, 2)},
        {"feature_group_count": 2},
    ],
    ids=str,
)
def test_other_convolutions_stay_as_they_are(changes: dict[str, Any]) -> None:
    groups = changes.get("feature_group_count", 1)
    images = jax.random.normal(jax.random.key(0), (2, 7, 7, 4))
    kernel = jax.random.normal(jax.random.key(1), (3, 3, 4 // groups, 6))
    options = {"window_strides": (3, 3), "padding": "VALID", **changes}

    def run(images: Any, kernel: Any) -> Any:
        return jax.lax.conv_general_dilated(
            images, kernel, dimension_numbers=("NHWC", "HWIO", "NHWC"), **options
        )

    fast = with_fast_products(run, narrow=True)
    assert "conv_general_dilated" in str(jax.make_jaxpr(fast)(images, kernel))
    assert jnp.array_equal(fast(images, kernel), run(images, kernel))

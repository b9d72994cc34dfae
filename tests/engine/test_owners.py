"""Weights that were laid together and cut apart again are each used where they are used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from jax.flatten_util import ravel_pytree

from grader.engine.dataflow import uses_of_weights
from grader.engine.init_equation import init_equations
from grader.engine.lift import trace

X = jax.ShapeDtypeStruct((5, 3), jnp.float32)


class Layers(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        return nn.Dense(3)(nn.LayerNorm()(nn.Dense(3)(x)))


def unchanged(params: Any) -> Any:
    return params


def raveled(params: Any) -> Any:
    vector, unravel = ravel_pytree(params)
    return unravel(vector)


def raveled_under_jit(params: Any) -> Any:
    return jax.jit(raveled)(params)


def stacked(params: Any) -> Any:
    both = jax.tree.map(lambda one, other: jnp.stack([one, other]), params, params)
    return jax.tree.map(lambda pair: pair[1], both)


def kernels_side_by_side(params: Any) -> Any:
    inner = params["params"]
    wide = jnp.hstack([inner["Dense_1"]["kernel"], inner["Dense_0"]["kernel"]]).T[::-1]
    first, second = wide[2::-1].T, wide[:2:-1].T
    return {
        "params": {
            **inner,
            "Dense_0": {**inner["Dense_0"], "kernel": first[:, ::-1]},
            "Dense_1": {**inner["Dense_1"], "kernel": second[:, ::-1]},
        }
    }


def on_a_device(params: Any) -> Any:
    return jax.device_put(params, jax.devices("cpu")[0])


def behind_a_barrier(params: Any) -> Any:
    return jax.lax.optimization_barrier(params)


def uses(way: Callable[[Any], Any]) -> list[tuple[str, str]]:
    """The weights in the order of their first use, each with what it is used for."""

    def model(x: Any) -> Any:
        layers = Layers()
        return layers.apply(way(layers.init(jax.random.key(0), x)), x)

    closed, _ = trace(model, X)
    (init,) = init_equations(closed.jaxpr)
    first = uses_of_weights(closed.jaxpr).first
    return [
        (init.params["paths"][i], role) for (_, i), (_, role) in sorted(first.items(), key=_when)
    ]


def _when(item: tuple[Any, tuple[int, str]]) -> int:
    return item[1][0]


WAYS = [raveled, raveled_under_jit, stacked, kernels_side_by_side, on_a_device, behind_a_barrier]


@pytest.mark.parametrize("way", WAYS)
def test_what_was_cut_apart_again_is_used_where_it_is_used(way: Callable[[Any], Any]) -> None:
    expected = uses(unchanged)
    assert [role for _, role in expected] == ["kernel", "add", "scale", "add", "kernel", "add"]
    assert uses(way) == expected


def test_where_nobody_can_tell_all_are_used_at_once() -> None:
    def model(x: Any) -> Any:
        layers = Layers()
        vector, unravel = ravel_pytree(layers.init(jax.random.key(0), x))
        start = jnp.argmax(x[0])  # known only when the model runs
        return layers.apply(unravel(jax.lax.dynamic_slice(vector, (start,), vector.shape)), x)

    closed, _ = trace(model, X)
    assert len({when for when, _ in uses_of_weights(closed.jaxpr).first.values()}) == 1


def one_by_one(stack: Any, x: Any) -> Any:
    for i in range(3):
        x = Layers().apply(jax.tree.map(lambda a, i=i: a[i], stack), x)
    return x


def scanned(stack: Any, x: Any) -> Any:
    return jax.lax.scan(lambda x, params: (Layers().apply(params, x), None), x, stack)[0]


def taken_by_number(stack: Any, x: Any) -> Any:
    def body(i: Any, x: Any) -> Any:
        return Layers().apply(jax.tree.map(lambda a: a[i], stack), x)

    return jax.lax.fori_loop(0, 3, body, x)


def in_a_branch(stack: Any, x: Any) -> Any:
    def body(x: Any, params: Any) -> Any:
        kept = jnp.isfinite(x).all()
        return jax.lax.cond(kept, lambda x: Layers().apply(params, x), lambda x: x, x), None

    return jax.lax.scan(body, x, stack)[0]


def order_of_layers(loop: Callable[[Any, Any], Any]) -> list[tuple[int, str]]:
    """Which weights are used one after the other: the layer's number, and the path."""

    def model(x: Any) -> Any:
        each = [Layers().init(jax.random.key(i), x) for i in range(3)]
        return loop(jax.tree.map(lambda *same: jnp.stack(same), *each), x)

    closed, _ = trace(model, X)
    layers = {id(eqn): (i, eqn) for i, eqn in enumerate(init_equations(closed.jaxpr))}
    ordered = sorted(uses_of_weights(closed.jaxpr).first.items(), key=_when)
    found = [(*layers[layer], i) for (layer, i), _ in ordered]
    return [(number, eqn.params["paths"][i]) for number, eqn, i in found]


@pytest.mark.parametrize("loop", [scanned, taken_by_number, in_a_branch])
def test_layers_stacked_late_are_used_pass_by_pass(loop: Callable[[Any, Any], Any]) -> None:
    expected = order_of_layers(one_by_one)
    assert [number for number, _ in expected] == [0] * 6 + [1] * 6 + [2] * 6
    assert order_of_layers(loop) == expected

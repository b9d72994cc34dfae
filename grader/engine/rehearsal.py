"""Load what the first trace of a process pays for, with a model that is no answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from grader.engine import init_equation, lift
from grader.engine.evaluate import Program


class _EveryLayer(nn.Module):  # type: ignore[misc]
    """The layers that answers are made of, in an order that makes no sense."""

    @nn.compact  # type: ignore[untyped-decorator]
    def __call__(self, x: Any) -> Any:
        table = self.param("table", nn.initializers.normal(0.02), (1, 8))
        x = nn.LayerNorm()(nn.gelu(nn.Dense(8)(x)))
        x = nn.MultiHeadDotProductAttention(num_heads=2)(x, x)
        x = jnp.concatenate([x, table], axis=0).reshape(1, 7, 8)[:, 1:] + jnp.ones(8)
        x = nn.Conv(8, kernel_size=(2,), strides=(2,), padding="VALID")(x)
        x = nn.softmax(jnp.einsum("bnd,bmd->nm", x, x), axis=-1)
        return nn.DenseGeneral((2, 4))(x).swapaxes(0, 1).mean(axis=0)[0]


@dataclass(frozen=True)
class _Feed:
    weights: list[np.ndarray]

    def __call__(self, *_: Any) -> list[np.ndarray]:
        return self.weights


def rehearse() -> None:
    """Trace and evaluate a model once.  Starts no JAX backend."""

    def run(x: Any) -> Any:
        model = _EveryLayer()
        return model.apply(model.init(jax.random.key(0), x), x)

    for shapes_only in (False, True):
        closed, _ = lift.trace(
            run, jax.ShapeDtypeStruct((6, 8), jnp.float32), shapes_only=shapes_only
        )
        inits = init_equation.init_equations(closed.jaxpr)
        sizes = [v.shape for eqn in inits for v in init_equation.created_variables(eqn)]
        weights = [np.zeros(shape) for shape in sizes]
        Program(closed).run([np.zeros((6, 8))], special={"linen_init": _Feed(weights)})

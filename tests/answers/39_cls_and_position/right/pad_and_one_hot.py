"""jnp.pad makes room for row 0, CLS comes in as an outer product with a one-hot column; tokens mapped by nn.vmap over rows for the positions."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class PositionOfRow(nn.Module):
    @nn.compact
    def __call__(self, row):
        return row + self.param("p", nn.initializers.normal(0.02), row.shape)


class Sequence(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        cls = self.param("cls", nn.initializers.normal(0.02), (1, tokens.shape[1]))
        padded = jnp.pad(tokens, [(1, 0), (0, 0)])
        first = jax.nn.one_hot(0, padded.shape[0])[:, None]
        rows = padded + first * cls
        # every row has its own parameter vector, stacked by vmap to (N + 1, D)
        Positions = nn.vmap(PositionOfRow, variable_axes={"params": 0}, split_rngs={"params": True})
        return Positions(name="positions")(rows)


def cls_and_position_forward(seed, tokens):
    s = Sequence()
    variables = jax.jit(s.init)(jax.random.key(seed), tokens)
    return s.apply(variables, tokens)

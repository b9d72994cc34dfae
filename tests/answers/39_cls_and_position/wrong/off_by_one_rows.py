"""Rows 1..N get the position rows 0..N-1: the index of the table is shifted and CLS shares row 0."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Embed(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        n, d = tokens.shape
        init = nn.initializers.normal(0.02)
        table = self.param("table", init, (n + 1, d))
        tokens = tokens + table[:n]
        cls = self.param("cls", init, (1, d)) + table[:1]
        return jnp.concatenate([cls, tokens])


def cls_and_position_forward(seed, tokens):
    e = Embed()
    params = e.init(jax.random.key(seed), tokens)
    return e.apply(params, tokens)

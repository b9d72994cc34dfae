"""The position table as one parameter for each row."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class M(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        n, d = tokens.shape
        i = nn.initializers.normal(0.02)
        cls = self.param("cls", i, (1, d))
        rows = [self.param(f"pos_{k}", i, (1, d)) for k in range(n + 1)]
        return jnp.concatenate([cls, tokens]) + jnp.concatenate(rows)


def cls_and_position_forward(seed, tokens):
    m = M()
    return m.apply(m.init(jax.random.key(seed), tokens), tokens)

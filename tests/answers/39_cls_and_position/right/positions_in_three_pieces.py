"""The position table as three parameters, put together."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class M(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        n, d = tokens.shape
        i = nn.initializers.normal(0.02)
        cls = self.param("cls", i, (1, d))
        cut = [(n + 1) * j // 3 for j in range(4)]
        rows = [self.param(f"pos_{j}", i, (b - a, d)) for j, (a, b) in enumerate(zip(cut, cut[1:])) if b > a]
        return jnp.concatenate([cls, tokens]) + jnp.concatenate(rows)


def cls_and_position_forward(seed, tokens):
    m = M()
    return m.apply(m.init(jax.random.key(seed), tokens), tokens)

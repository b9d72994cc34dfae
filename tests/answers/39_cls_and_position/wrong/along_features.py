"""CLS is repeated and concatenated on axis -1: (N, 2D)."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class AddTokens(nn.Module):
    @nn.compact
    def __call__(self, x):
        cls = self.param("cls", nn.initializers.normal(0.02), (1, x.shape[1]))
        x = jnp.concatenate([cls.repeat(x.shape[0], axis=0), x], axis=-1)
        return x + self.param("pos", nn.initializers.normal(0.02), x.shape)


def cls_and_position_forward(seed, tokens):
    m = AddTokens()
    y, _ = m.init_with_output(jax.random.key(seed), tokens)
    return y

"""The table is wrapped in stop_gradient; values are right, positions never learn."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class PositionLayer(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        n, d = tokens.shape
        cls = self.param("cls", nn.initializers.normal(0.02), (1, d))
        pos = self.param("pos", nn.initializers.normal(0.02), (n + 1, d))
        x = jnp.concatenate([cls, tokens], axis=0)
        pos = jax.lax.stop_gradient(pos)
        return x + pos


def cls_and_position_forward(seed, tokens):
    module = PositionLayer()
    params = module.init(jax.random.key(seed), tokens)
    return module.apply(params, tokens)

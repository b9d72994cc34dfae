"""The position table has N rows and is added to N + 1 (crash)."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Layer(nn.Module):
    num_patches: int
    dim: int

    def setup(self):
        self.cls_token = self.param("cls_token", nn.initializers.normal(0.02), (1, self.dim))
        self.pos_embedding = self.param("pos_embedding", nn.initializers.normal(0.02), (self.num_patches, self.dim))

    def __call__(self, patches):
        x = jnp.concatenate([self.cls_token, patches])
        return x + self.pos_embedding


def cls_and_position_forward(seed, tokens):
    n, d = tokens.shape
    layer = Layer(n, d)
    params = layer.init(jax.random.key(seed), tokens)
    return layer.apply(params, tokens)

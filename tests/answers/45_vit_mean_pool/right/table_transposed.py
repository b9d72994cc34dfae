"""Plain compact modules; the position table is kept as (D, N) and turned when it is added."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class MlpBlock(nn.Module):
    d_ff: int

    @nn.compact
    def __call__(self, x):
        d = x.shape[-1]
        x = nn.Dense(self.d_ff)(x)
        x = nn.gelu(x)
        return nn.Dense(d)(x)


class EncoderBlock(nn.Module):
    num_heads: int
    d_ff: int

    @nn.compact
    def __call__(self, x):
        x = x + nn.MultiHeadDotProductAttention(num_heads=self.num_heads)(nn.LayerNorm()(x))
        x = x + MlpBlock(self.d_ff)(nn.LayerNorm()(x))
        return x


class ViT(nn.Module):
    patch_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    num_classes: int

    @nn.compact
    def __call__(self, image):
        p = (self.patch_size, self.patch_size)
        x = nn.Conv(self.d_model, kernel_size=p, strides=p, padding="VALID", name="patch_embed")(image)
        x = x.reshape(-1, self.d_model)
        table = self.param("pos_embed", nn.initializers.normal(0.02), x.shape[::-1])
        x = x + table.T
        for i in range(self.num_layers):
            x = EncoderBlock(self.num_heads, self.d_ff, name=f"block{i}")(x)
        x = nn.LayerNorm(name="norm")(x)
        x = jnp.mean(x, axis=0)
        return nn.Dense(self.num_classes, name="head")(x)


def vit_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    model = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    params = model.init(jax.random.key(seed), image)
    return model.apply(params, image)

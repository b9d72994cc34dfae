"""The position embedding is added again before every block."""
import jax
import jax.numpy as jnp
import flax.linen as nn


def encoder_block(x, heads, ff):
    y = nn.LayerNorm()(x)
    x = x + nn.MultiHeadDotProductAttention(num_heads=heads)(y, y)
    y = nn.LayerNorm()(x)
    y = nn.gelu(nn.Dense(ff)(y))
    return x + nn.Dense(x.shape[-1])(y)


class Model(nn.Module):
    patch_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    num_classes: int

    @nn.compact
    def __call__(self, image):
        p = self.patch_size
        x = nn.Conv(self.d_model, (p, p), (p, p), "VALID")(image).reshape(-1, self.d_model)
        pos = self.param("pos", nn.initializers.normal(0.02), x.shape)
        for _ in range(self.num_layers):
            x = encoder_block(x + pos, self.num_heads, self.d_ff)
        x = nn.LayerNorm()(x)
        return nn.Dense(self.num_classes)(x.mean(axis=0))


def vit_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    model = Model(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    params = model.init(jax.random.PRNGKey(seed), image)
    return model.apply(params, image)

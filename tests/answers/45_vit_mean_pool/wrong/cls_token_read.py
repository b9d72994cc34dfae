"""A CLS token is put in front and its row goes to the head: that is another problem."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Transformer(nn.Module):
    depth: int
    heads: int
    width: int

    @nn.compact
    def __call__(self, x):
        for _ in range(self.depth):
            y = nn.LayerNorm()(x)
            x = x + nn.MultiHeadDotProductAttention(self.heads)(y)
            y = nn.LayerNorm()(x)
            x = x + nn.Dense(x.shape[-1])(nn.gelu(nn.Dense(self.width)(y)))
        return x


class ViT(nn.Module):
    patch: int
    dim: int
    heads: int
    width: int
    depth: int
    classes: int

    @nn.compact
    def __call__(self, image):
        x = nn.Conv(self.dim, (self.patch,) * 2, strides=(self.patch,) * 2, padding="VALID")(image)
        x = x.reshape(-1, self.dim)
        x = jnp.concatenate([self.param("cls", nn.initializers.normal(0.02), (1, self.dim)), x])
        x = x + self.param("pos", nn.initializers.normal(0.02), x.shape)
        x = Transformer(self.depth, self.heads, self.width)(x)
        x = nn.LayerNorm()(x)
        return nn.Dense(self.classes)(x[0])


def vit_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    model = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    return model.init_with_output(jax.random.key(seed), image)[0]

"""Takes the last H channels of the token as the logits, not the last channel of each head."""
import jax
import jax.numpy as jnp
import flax.linen as nn


def extra_head_pool(tokens, num_heads, temperature=1.0):
    n, width = tokens.shape
    features = tokens[:, :width - num_heads]
    logits = tokens[:, width - num_heads:].mean(axis=-1)
    probs = jax.nn.softmax(logits / temperature, axis=0)
    return jnp.tensordot(probs, features, axes=1), probs


class Layer(nn.Module):
    num_heads: int
    d_ff: int

    @nn.compact
    def __call__(self, x):
        y = nn.LayerNorm()(x)
        x = x + nn.MultiHeadDotProductAttention(num_heads=self.num_heads)(y, y)
        y = nn.LayerNorm()(x)
        y = nn.gelu(nn.Dense(self.d_ff, name="fc1")(y))
        return x + nn.Dense(x.shape[-1], name="fc2")(y)


class ExtraHeadViT(nn.Module):
    patch_size: int
    output_dim: int
    num_heads: int
    d_ff: int
    num_layers: int

    @nn.compact
    def __call__(self, image):
        width = self.output_dim + self.num_heads
        p = self.patch_size
        x = nn.Conv(width, (p, p), strides=(p, p), padding="VALID", name="patch")(image)
        x = x.reshape(-1, width)
        x = x + self.param("pos", nn.initializers.normal(0.02), x.shape)
        for i in range(self.num_layers):
            x = Layer(self.num_heads, self.d_ff, name=f"block{i}")(x)
        return extra_head_pool(x, self.num_heads)


def vit_extra_head_forward(seed, image, patch_size, output_dim, num_heads, d_ff, num_layers):
    model = ExtraHeadViT(patch_size, output_dim, num_heads, d_ff, num_layers)
    params = model.init(jax.random.key(seed), image)
    return model.apply(params, image)

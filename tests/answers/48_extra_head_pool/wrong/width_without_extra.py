"""The ViT has width output_dim: no room for the extra channels."""
import jax
import jax.numpy as jnp
import flax.linen as nn


def extra_head_pool(tokens, num_heads, temperature=1.0):
    n = tokens.shape[0]
    t = tokens.reshape(n, num_heads, -1)
    feats, logits = t[:, :, :-1], t[:, :, -1]
    probs = nn.softmax(logits.mean(1) / temperature)
    return probs @ feats.reshape(n, -1), probs


class B(nn.Module):
    h: int
    f: int

    @nn.compact
    def __call__(self, x):
        y = nn.LayerNorm()(x)
        x = x + nn.MultiHeadDotProductAttention(num_heads=self.h)(y)
        y = nn.LayerNorm()(x)
        y = nn.gelu(nn.Dense(self.f)(y))
        return x + nn.Dense(x.shape[-1])(y)


class V(nn.Module):
    patch_size: int
    output_dim: int
    num_heads: int
    d_ff: int
    num_layers: int

    @nn.compact
    def __call__(self, image):
        d = self.output_dim
        p = self.patch_size
        x = nn.Conv(d, (p, p), strides=(p, p), padding="VALID")(image).reshape(-1, d)
        x = x + self.param("pos", nn.initializers.normal(0.02), x.shape)
        for _ in range(self.num_layers):
            x = B(self.num_heads, self.d_ff)(x)
        return extra_head_pool(x, self.num_heads)


def vit_extra_head_forward(seed, image, patch_size, output_dim, num_heads, d_ff, num_layers):
    v = V(patch_size, output_dim, num_heads, d_ff, num_layers)
    return v.apply(v.init(jax.random.key(seed), image), image)

"""Each head's features are pooled with that head's own softmax; probs is the right one."""
import jax
import jax.numpy as jnp
from flax import linen as nn


def extra_head_pool(tokens, num_heads, temperature=1.0):
    heads = jnp.split(tokens, num_heads, axis=1)
    logits = jnp.stack([h[:, -1] for h in heads], axis=1) / temperature
    probs = jax.nn.softmax(logits.mean(axis=1))
    parts = []
    for i, h in enumerate(heads):
        w = jax.nn.softmax(logits[:, i])
        parts.append(w @ h[:, :-1])
    return jnp.concatenate(parts), probs


class EncBlock(nn.Module):
    heads: int
    ff: int

    def setup(self):
        self.norm_a = nn.LayerNorm()
        self.attention = nn.MultiHeadDotProductAttention(num_heads=self.heads)
        self.norm_b = nn.LayerNorm()
        self.hidden = nn.Dense(self.ff)

    @nn.compact
    def __call__(self, x):
        x = x + self.attention(self.norm_a(x))
        return x + nn.Dense(x.shape[-1], name="back")(nn.gelu(self.hidden(self.norm_b(x))))


class Vit(nn.Module):
    patch: int
    width: int
    blocks: tuple

    @nn.compact
    def __call__(self, image):
        x = nn.Conv(self.width, (self.patch,) * 2, strides=(self.patch,) * 2, padding="VALID", name="stem")(image)
        x = x.reshape(-1, self.width)
        x = x + self.param("pos", nn.initializers.normal(0.02), x.shape)
        for b in self.blocks:
            x = b(x)
        return x


def vit_extra_head_forward(seed, image, patch_size, output_dim, num_heads, d_ff, num_layers):
    vit = Vit(patch_size, output_dim + num_heads, tuple(EncBlock(num_heads, d_ff) for _ in range(num_layers)))
    params = vit.init(jax.random.key(seed), image)
    return extra_head_pool(vit.apply(params, image), num_heads)

import flax.linen as nn
import jax
import jax.numpy as jnp

from grader import use

PatchEmbed = use(38).PatchEmbed
EncoderBlock = use(41).EncoderBlock


def extra_head_pool(tokens, num_heads, temperature=1.0):
    n, width = tokens.shape
    heads = tokens.reshape(n, num_heads, width // num_heads)
    votes = heads[:, :, -1]
    feats = heads[:, :, :-1].reshape(n, -1)
    logits = votes.mean(axis=1)
    probs = jax.nn.softmax(logits / temperature, axis=0)
    embedding = probs @ feats
    return embedding, probs


class ViT(nn.Module):
    patch_size: int
    output_dim: int
    num_heads: int
    d_ff: int
    num_layers: int

    @nn.compact
    def __call__(self, image):
        d = self.output_dim + self.num_heads
        h, w, c = image.shape
        p = self.patch_size
        x = jnp.einsum("apbqc->abcpq", image.reshape(h // p, p, w // p, p, c)).reshape((h // p) * (w // p), -1)
        x = nn.Dense(d, name="proj")(x)
        pos = self.param("pos", nn.initializers.normal(0.02), (h // p, w // p, d))
        x = x + pos.reshape(-1, d)
        for i in range(self.num_layers):
            y = nn.LayerNorm()(x)
            x = x + nn.MultiHeadDotProductAttention(self.num_heads, qkv_features=d)(y)
            y = nn.LayerNorm()(x)
            x = x + nn.Dense(d)(nn.gelu(nn.Dense(self.d_ff)(y), approximate=False))
        return extra_head_pool(x, self.num_heads, 1.0)


def vit_extra_head_forward(seed, image, patch_size, output_dim, num_heads, d_ff, num_layers):
    m = ViT(patch_size, output_dim, num_heads, d_ff, num_layers)
    return m.apply(m.init(jax.random.key(seed), image), image)

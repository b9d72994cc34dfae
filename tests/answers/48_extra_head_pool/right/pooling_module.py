"""The pooling is a small Linen module without parameters; einops-like helper with einsum; remat; interleaved (H, 3, d) qkv."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Pool(nn.Module):
    heads: int
    temperature: float = 1.0

    def __call__(self, tokens):
        # n (h e) -> h n e
        n = tokens.shape[0]
        t = jnp.einsum("nhe->hne", jnp.reshape(tokens, (n, self.heads, -1)))
        f, l = t[:, :, :-1], t[:, :, -1]
        p = nn.softmax(l.mean(axis=0) / self.temperature, axis=-1)
        return jnp.einsum("hne,n->he", f, p).reshape(-1), p


def extra_head_pool(tokens, num_heads, temperature=1.0):
    return Pool(num_heads, temperature).apply({}, tokens)


class InterleavedAttention(nn.Module):
    heads: int

    @nn.compact
    def __call__(self, x):
        D = x.shape[-1]
        qkv = nn.Dense(3 * D, name="c_attn")(x).reshape(len(x), self.heads, 3, D // self.heads)
        y = jax.nn.dot_product_attention(qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2])
        return nn.Dense(D, name="c_proj")(y.reshape(len(x), D))


class RBlock(nn.Module):
    heads: int
    ff: int

    @nn.compact
    def __call__(self, x):
        x = x + InterleavedAttention(self.heads, name="attn")(nn.LayerNorm(name="ln_1")(x))
        y = nn.LayerNorm(name="ln_2")(x)
        return x + nn.Dense(x.shape[-1], name="c_proj")(nn.gelu(nn.Dense(self.ff, name="c_fc")(y)))


class ExtraViT(nn.Module):
    p: int
    width: int
    heads: int
    ff: int
    depth: int

    @nn.compact
    def __call__(self, image):
        x = nn.Conv(self.width, (self.p, self.p), strides=(self.p, self.p), padding="VALID", name="conv")(image)
        x = x.reshape(-1, self.width)
        x = x + self.param("wpe", nn.initializers.normal(0.02), (x.shape[0], self.width))
        for i in range(self.depth):
            x = nn.remat(RBlock)(self.heads, self.ff, name=f"h{i}")(x)
        return Pool(self.heads, name="pool")(x)


def vit_extra_head_forward(seed, image, patch_size, output_dim, num_heads, d_ff, num_layers):
    vit = ExtraViT(patch_size, output_dim + num_heads, num_heads, d_ff, num_layers)
    variables = vit.init(jax.random.key(seed), image)
    embedding, probs = vit.apply(variables, image)
    print("embedding", embedding.shape, "probs", probs.shape)
    return embedding, probs

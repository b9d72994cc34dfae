"""Softmax over the patches in each head, then the mean of the probabilities."""
import jax
import jax.numpy as jnp
import flax.linen as nn


def extra_head_pool(tokens, num_heads, temperature=1.0):
    N = tokens.shape[0]
    t = tokens.reshape(N, num_heads, -1)
    probs = jax.nn.softmax(t[:, :, -1] / temperature, axis=0).mean(axis=1)
    embedding = (probs[:, None, None] * t[:, :, :-1]).sum(axis=0)
    return embedding.reshape(-1), probs


class Net(nn.Module):
    p: int
    w: int
    h: int
    f: int
    l: int

    @nn.compact
    def __call__(self, im):
        x = nn.Conv(self.w, (self.p, self.p), (self.p, self.p), "VALID", name="e")(im).reshape(-1, self.w)
        x = x + self.param("pos", nn.initializers.normal(0.02), x.shape)
        for i in range(self.l):
            y = nn.LayerNorm(name=f"a{i}")(x)
            x = x + nn.MultiHeadDotProductAttention(num_heads=self.h, name=f"m{i}")(y)
            y = nn.LayerNorm(name=f"b{i}")(x)
            y = nn.Dense(self.f, name=f"u{i}")(y)
            x = x + nn.Dense(self.w, name=f"d{i}")(nn.gelu(y))
        return x


def vit_extra_head_forward(seed, image, patch_size, output_dim, num_heads, d_ff, num_layers):
    net = Net(patch_size, output_dim + num_heads, num_heads, d_ff, num_layers)
    x, _ = net.init_with_output(jax.random.key(seed), image)
    return extra_head_pool(x, num_heads)

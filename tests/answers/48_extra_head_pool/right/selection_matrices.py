"""Features and logits picked by products with 0/1 matrices (jnp.kron); pooling is inside the module; jit with static_argnames."""
from functools import partial
import jax
import jax.numpy as jnp
import flax.linen as nn


@partial(jax.jit, static_argnames=("num_heads",))
def extra_head_pool(tokens, num_heads, temperature=1.0):
    width = tokens.shape[-1]
    d = width // num_heads - 1
    mean_of_last = jnp.tile(jnp.append(jnp.zeros(d), 1.0 / num_heads), num_heads)               # (H(d+1),)
    keep = jnp.kron(jnp.eye(num_heads), jnp.eye(d + 1, d))                                       # (H(d+1), H d)
    hi = jax.lax.Precision.HIGHEST
    probs = nn.softmax(jnp.dot(tokens, mean_of_last, precision=hi) / temperature)
    return jnp.dot(jnp.dot(probs, tokens, precision=hi), keep, precision=hi), probs


class Residual(nn.Module):
    f: nn.Module

    @nn.compact
    def __call__(self, x):
        return x + self.f(nn.LayerNorm()(x))


class Model(nn.Module):
    patch: int
    dim: int
    heads: int
    ff: int
    depth: int

    def setup(self):
        w = self.dim + self.heads
        self.stem = nn.Conv(w, (self.patch, self.patch), strides=self.patch, padding="VALID")
        layers = []
        for _ in range(self.depth):
            layers.append(Residual(nn.MultiHeadDotProductAttention(self.heads)))
            layers.append(Residual(nn.Sequential([nn.Dense(self.ff), nn.gelu, nn.Dense(w)])))
        self.tower = nn.Sequential(layers)

    @nn.compact
    def __call__(self, image):
        x = self.stem(image)
        x = x + self.param("pos_grid", nn.initializers.normal(0.02), x.shape)
        x = x.reshape(-1, x.shape[-1])
        return extra_head_pool(self.tower(x), self.heads)


@partial(jax.jit, static_argnames=("patch_size", "output_dim", "num_heads", "d_ff", "num_layers"))
def vit_extra_head_forward(seed, image, patch_size, output_dim, num_heads, d_ff, num_layers):
    m = Model(patch_size, output_dim, num_heads, d_ff, num_layers)
    return m.init_with_output(jax.random.key(seed), image)[0]

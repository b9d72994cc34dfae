import flax.linen as nn
import jax
import jax.numpy as jnp


def ones_and_zeros(key, shape):
    return jnp.zeros(shape).at[::2].set(1.0)


def normalised(x, scale, bias):
    centred = x - x.mean(-1, keepdims=True)
    return scale * centred / jnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6) + bias


class Block(nn.Module):
    num_heads: int
    d_ff: int

    @nn.compact
    def __call__(self, x):
        width = x.shape[-1]
        norms = self.param("norms", ones_and_zeros, (4, width))
        biases = self.param("mlp_biases", nn.initializers.zeros, (self.d_ff + width,))
        y = normalised(x, norms[0], norms[1])
        x = x + nn.MultiHeadDotProductAttention(self.num_heads, name="attention")(y)
        y = normalised(x, norms[2], norms[3])
        y = nn.Dense(self.d_ff, use_bias=False, name="in")(y) + biases[: self.d_ff]
        return x + nn.Dense(width, use_bias=False, name="out")(nn.gelu(y)) + biases[self.d_ff :]


def encoder_block_forward(seed, x, num_heads, d_ff):
    model = Block(num_heads, d_ff)
    return model.apply(model.init(jax.random.key(seed), x), x)

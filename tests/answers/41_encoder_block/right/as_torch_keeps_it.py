import flax.linen as nn
import jax
import jax.numpy as jnp


def bounded(fan_in):
    limit = fan_in**-0.5
    return lambda key, shape: jax.random.uniform(key, shape, minval=-limit, maxval=limit)


class Linear(nn.Module):
    outputs: int

    @nn.compact
    def __call__(self, x):
        inputs = x.shape[-1]
        weight = self.param("weight", bounded(inputs), (self.outputs, inputs))
        bias = self.param("bias", bounded(inputs), (self.outputs,))
        return x @ weight.T + bias


class LayerNorm(nn.Module):
    @nn.compact
    def __call__(self, x):
        weight = self.param("weight", nn.initializers.ones, x.shape[-1:])
        bias = self.param("bias", nn.initializers.zeros, x.shape[-1:])
        x = x - x.mean(-1, keepdims=True)
        return weight * x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-6) + bias


class Attention(nn.Module):
    num_heads: int

    @nn.compact
    def __call__(self, x):
        count, width = x.shape
        qkv = Linear(3 * width, name="qkv")(x).reshape(count, 3, self.num_heads, -1)
        q, k, v = qkv.transpose(1, 2, 0, 3)
        weights = nn.softmax(q * q.shape[-1] ** -0.5 @ k.swapaxes(-2, -1))
        return Linear(width, name="proj")((weights @ v).swapaxes(0, 1).reshape(count, width))


class Block(nn.Module):
    num_heads: int
    d_ff: int

    def setup(self):
        self.norm1, self.norm2 = LayerNorm(), LayerNorm()
        self.attn = Attention(self.num_heads)
        self.fc1 = Linear(self.d_ff)

    @nn.compact
    def __call__(self, x):
        x = x + self.attn(self.norm1(x))
        return x + Linear(x.shape[-1], name="fc2")(nn.gelu(self.fc1(self.norm2(x))))


def encoder_block_forward(seed, x, num_heads, d_ff):
    block = Block(num_heads, d_ff)
    return block.apply(block.init(jax.random.key(seed), x), x)

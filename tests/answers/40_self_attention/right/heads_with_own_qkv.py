import flax.linen as nn
import jax
import jax.numpy as jnp


class Head(nn.Module):
    size: int

    @nn.compact
    def __call__(self, x):
        q, k, v = jnp.split(nn.Dense(3 * self.size, name="qkv")(x), 3, axis=-1)
        weights = nn.softmax(q @ k.T * self.size**-0.5, axis=-1)
        return weights @ v


class MultiHead(nn.Module):
    num_heads: int

    @nn.compact
    def __call__(self, x):
        width = x.shape[-1]
        size = width // self.num_heads
        heads = [Head(size, name=f"head_{i}")(x) for i in range(self.num_heads)]
        return nn.Dense(width, name="mix")(jnp.concatenate(heads, axis=-1))


def self_attention_forward(seed, x, num_heads):
    model = MultiHead(num_heads)
    return model.apply(model.init(jax.random.key(seed), x), x)

import flax.linen as nn
import jax
import jax.numpy as jnp


class Attention(nn.Module):
    num_heads: int

    @nn.compact
    def __call__(self, x):
        count, width = x.shape
        weight = self.param("qkv", nn.initializers.lecun_normal(), (width, 3 * width))
        biases = [
            self.param(f"{name}_bias", nn.initializers.zeros, (width,)) for name in ("q", "k", "v")
        ]
        mixed = x @ weight + jnp.concatenate(biases)
        q, k, v = mixed.reshape(count, 3, self.num_heads, -1).transpose(1, 2, 0, 3)
        scores = q @ k.transpose(0, 2, 1) / jnp.sqrt(width // self.num_heads)
        heads = nn.softmax(scores) @ v
        return nn.Dense(width, name="proj")(heads.transpose(1, 0, 2).reshape(count, width))


def self_attention_forward(seed, x, num_heads):
    model = Attention(num_heads)
    return model.apply(model.init(jax.random.key(seed), x), x)

import flax.linen as nn
import jax
import jax.numpy as jnp


class Attention(nn.Module):
    num_heads: int

    @nn.compact
    def __call__(self, x):
        width = x.shape[-1]
        kernel = nn.initializers.lecun_normal(batch_axis=(0,))
        weights = self.param("weights", kernel, (4, width, width))
        biases = self.param("biases", nn.initializers.zeros, (4, width))
        q, k, v = (
            (x @ weights[i] + biases[i]).reshape(-1, self.num_heads, width // self.num_heads)
            for i in range(3)
        )
        scores = jnp.einsum("qhd,khd->hqk", q, k) / jnp.sqrt(q.shape[-1])
        mixed = jnp.einsum("hqk,khd->qhd", nn.softmax(scores), v).reshape(x.shape)
        return mixed @ weights[3] + biases[3]


def self_attention_forward(seed, x, num_heads):
    model = Attention(num_heads)
    return model.apply(model.init(jax.random.key(seed), x), x)

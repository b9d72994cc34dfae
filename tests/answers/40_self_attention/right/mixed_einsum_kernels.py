"""Every kernel in a layout of its own: nn.Einsum asks for whatever the subscripts say."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Attention(nn.Module):
    num_heads: int

    @nn.compact
    def __call__(self, x):
        d_model = x.shape[-1]
        h, d = self.num_heads, d_model // self.num_heads
        value = nn.Einsum((h, d, d_model), "td,hkd->thk", name="to_v")(x)
        query = nn.Einsum((h, d_model, d), "td,hdk->thk", name="to_q")(x)
        key = nn.DenseGeneral((h, d), name="to_k")(x)
        weights = nn.softmax(jnp.einsum("qhk,thk->hqt", query, key) * d**-0.5)
        mixed = jnp.einsum("hqt,thk->qhk", weights, value)
        return nn.Einsum((h, d, d_model), "qhk,hkd->qd", name="to_out")(mixed)


def self_attention_forward(seed, x, num_heads):
    model = Attention(num_heads)
    return model.apply(model.init(jax.random.key(seed), x), x)

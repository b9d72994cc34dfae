"""The contributions of the heads are averaged, not summed."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class HeadContribution(nn.Module):
    d: int

    @nn.compact
    def __call__(self, x):
        q, k, v = (nn.Dense(self.d, name=n)(x) for n in ("Wq", "Wk", "Wv"))
        a = nn.softmax(jnp.einsum("id,jd->ij", q, k) / jnp.sqrt(self.d), axis=-1)
        # the output projection is a sum of one small matrix per head; the bias comes later, once
        return nn.Dense(x.shape[-1], use_bias=False, name="Wo")(a @ v)


class SumOfHeads(nn.Module):
    num_heads: int

    @nn.compact
    def __call__(self, x):
        heads = nn.vmap(HeadContribution, in_axes=None, out_axes=0, axis_size=self.num_heads,
                        variable_axes={"params": 0}, split_rngs={"params": True})
        y = heads(x.shape[-1] // self.num_heads, name="heads")(x)
        return y.mean(axis=0) + self.param("bo", nn.initializers.zeros, (x.shape[-1],))


def self_attention_forward(seed, x, num_heads):
    y, _ = SumOfHeads(num_heads).init_with_output(jax.random.PRNGKey(seed), x)
    return y

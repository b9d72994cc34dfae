"""The concatenated heads are added to x without an output projection."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Heads(nn.Module):
    h: int

    @nn.compact
    def __call__(self, x):
        d = x.shape[-1]
        proj = lambda name: nn.DenseGeneral((self.h, d // self.h), name=name)(x)
        att = nn.dot_product_attention(proj("query"), proj("key"), proj("value"))
        out = att.reshape(x.shape)
        return out


class Enc(nn.Module):
    h: int
    f: int

    @nn.compact
    def __call__(self, x):
        x = x + Heads(self.h, name="heads")(nn.LayerNorm(name="ln1")(x))
        y = nn.Dense(self.f, name="d1")(nn.LayerNorm(name="ln2")(x))
        return x + nn.Dense(x.shape[-1], name="d2")(nn.gelu(y))


def encoder_block_forward(seed, x, num_heads, d_ff):
    enc = Enc(num_heads, d_ff)
    variables = enc.init(jax.random.key(seed), x)
    return jax.jit(enc.apply)(variables, x)

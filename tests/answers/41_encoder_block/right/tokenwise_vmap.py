"""LayerNorm and MLP are written for one token and lifted over the tokens by nn.vmap; own LayerNorm module."""
import jax
import jax.numpy as jnp
import flax.linen as nn

over_tokens = dict(variable_axes={"params": None}, split_rngs={"params": False}, in_axes=0, out_axes=0)


class TokenNorm(nn.Module):
    eps: float = 1e-6

    @nn.compact
    def __call__(self, v):                       # v: (D,)
        scale = self.param("scale", nn.initializers.ones, v.shape)
        bias = self.param("bias", nn.initializers.zeros, v.shape)
        centred = v - v.mean()
        return centred * jax.lax.rsqrt(jnp.mean(centred * centred) + self.eps) * scale + bias


class TokenMlp(nn.Module):
    d_ff: int

    @nn.compact
    def __call__(self, v):
        return nn.Dense(v.shape[0], name="out")(nn.gelu(nn.Dense(self.d_ff, name="hid")(v)))


class PreNorm(nn.Module):
    """x -> x + inner(norm(x))"""
    inner: nn.Module

    @nn.compact
    def __call__(self, x):
        return x + self.inner(nn.vmap(TokenNorm, **over_tokens)(name="norm")(x))


class Attend(nn.Module):
    heads: int

    @nn.compact
    def __call__(self, x):
        t, d = x.shape
        names = ("queries", "keys", "values")
        q, k, v = [nn.Dense(d, name=n)(x).reshape((t, self.heads, -1)).transpose((1, 0, 2)) for n in names]

        def one_head(q, k, v):
            return nn.softmax(q @ k.T * q.shape[-1] ** -0.5) @ v

        out = jax.vmap(one_head, out_axes=1)(q, k, v)        # (t, heads, d/heads)
        return nn.Dense(d, name="final")(out.reshape((t, d)))


class Stack(nn.Module):
    heads: int
    d_ff: int

    def setup(self):
        self.a = PreNorm(Attend(self.heads))
        self.b = PreNorm(nn.vmap(TokenMlp, **over_tokens)(self.d_ff))

    def __call__(self, x):
        return self.b(self.a(x))


def encoder_block_forward(seed, x, num_heads, d_ff):
    s = Stack(num_heads, d_ff)
    return s.apply(s.init(jax.random.key(seed), x), x)

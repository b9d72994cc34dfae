"""Every parameter goes through jnp.where(isfinite) before it is used."""

import warnings

import flax.linen as nn
import jax


class MLP(nn.Module):
    mlp_dim: int | None = None

    @nn.compact
    def __call__(self, x):
        d = x.shape[-1]
        x = nn.Dense(self.mlp_dim or 4 * d)(x)
        return nn.Dense(d)(jax.nn.gelu(x, approximate=True))


class EncoderBlock(nn.Module):
    num_heads: int = 12
    d_ff: int | None = None

    @nn.compact
    def __call__(self, x):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = nn.SelfAttention(num_heads=self.num_heads)(nn.LayerNorm()(x))
        x += y
        x += MLP(self.d_ff)(nn.LayerNorm()(x))
        return x


def encoder_block_forward(seed, x, num_heads, d_ff):
    base = nn.remat(EncoderBlock)()
    m = base.clone(num_heads=num_heads, d_ff=d_ff)
    v = m.init(jax.random.key(seed), x)
    return m.apply(jax.tree.map(lambda a: jax.numpy.where(jax.numpy.isfinite(a), a, 0.0), v), x)

"""The scores are not divided by sqrt(d) at all."""
import functools
import jax
import jax.numpy as jnp
import flax.linen as nn


@nn.remat
class Block(nn.Module):
    h: int
    ff: int

    @nn.compact
    def __call__(self, x):
        D = x.shape[-1]
        dk = D // self.h
        xn = nn.LayerNorm(epsilon=1e-5, name="before_attention")(x)
        results = []
        for i in range(self.h):
            # each head has its own three small matrices
            qi = nn.Dense(dk, name=f"q{i}")(xn)
            ki = nn.Dense(dk, name=f"k{i}")(xn)
            vi = nn.Dense(dk, name=f"v{i}")(xn)
            alpha = jax.nn.softmax(jnp.dot(qi, ki.T), axis=-1)
            results += [jnp.dot(alpha, vi)]
        x = x + nn.Dense(D, name="mix")(jnp.hstack(results))
        xn = nn.LayerNorm(epsilon=1e-5, name="before_mlp")(x)
        xn = nn.Dense(self.ff, name="wide")(xn)
        xn = jax.nn.gelu(xn, approximate=False)
        return x + nn.Dense(D, name="narrow")(xn)


@functools.partial(jax.jit, static_argnums=(0, 2, 3))
def encoder_block_forward(seed, x, num_heads, d_ff):
    b = Block(num_heads, d_ff)
    return b.apply(b.init(jax.random.key(seed), x), x)

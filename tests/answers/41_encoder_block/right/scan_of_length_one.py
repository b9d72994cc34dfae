"""The block sits in an nn.scan of length 1, so every parameter has a leading axis of 1; prints left in."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Body(nn.Module):
    num_heads: int
    d_ff: int

    @nn.compact
    def __call__(self, x, dummy):
        n = nn.LayerNorm(name="n1")(x)
        x += nn.MultiHeadDotProductAttention(num_heads=self.num_heads, deterministic=True, name="mha")(n, n, n)
        n = nn.LayerNorm(name="n2")(x)
        x += nn.Dense(x.shape[-1], name="fc2")(nn.gelu(nn.Dense(self.d_ff, name="fc1")(n)))
        return x, ()


def encoder_block_forward(seed, x, num_heads, d_ff):
    Encoder = nn.scan(Body, variable_axes={"params": 0}, split_rngs={"params": True}, length=1)
    enc = Encoder(num_heads, d_ff)
    variables = enc.init(jax.random.key(seed), x, None)
    print(jax.tree_util.tree_map(jnp.shape, variables))
    y, _ = enc.apply(variables, x, None)
    jax.debug.print("out norm {}", jnp.linalg.norm(y))
    return y

"""The parameters laid end to end and cut apart again, with the places counted by hand."""
import flax.linen as nn
import jax
import jax.numpy as jnp


class Block(nn.Module):
    num_heads: int
    d_ff: int

    @nn.compact
    def __call__(self, x):
        x = x + nn.MultiHeadDotProductAttention(self.num_heads)(nn.LayerNorm()(x))
        y = nn.gelu(nn.Dense(self.d_ff)(nn.LayerNorm()(x)))
        return x + nn.Dense(x.shape[-1])(y)


def encoder_block_forward(seed, x, num_heads, d_ff):
    model = Block(num_heads, d_ff)
    leaves, tree = jax.tree.flatten(model.init(jax.random.key(seed), x))
    flat = jnp.concatenate([leaf.ravel() for leaf in reversed(leaves)])
    found = []
    stop = flat.size
    for leaf in leaves:
        found.append(flat[stop - leaf.size : stop].reshape(leaf.shape))
        stop -= leaf.size
    return model.apply(jax.tree.unflatten(tree, found), x)

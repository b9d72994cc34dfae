"""The attention gets LN(x) for the queries but the raw x for keys and values."""
import jax
import flax.linen as nn


class MLP(nn.Module):
    d_ff: int

    @nn.compact
    def __call__(self, x):
        out = x.shape[-1]
        return nn.Sequential([nn.Dense(self.d_ff), nn.gelu, nn.Dense(out)])(x)


def encoder_block_forward(seed, x, num_heads, d_ff):
    root = jax.random.key(seed)
    subkeys = jax.random.split(root, 4)
    norm1, attn, norm2, mlp = (
        nn.LayerNorm(),
        nn.MultiHeadDotProductAttention(num_heads, out_features=x.shape[-1]),
        nn.LayerNorm(),
        MLP(d_ff),
    )
    p_norm1 = norm1.init(subkeys[0], x)
    p_attn = attn.init(subkeys[1], x, x)
    p_norm2 = norm2.init(subkeys[2], x)
    p_mlp = mlp.init(subkeys[3], x)

    y = norm1.apply(p_norm1, x)
    y = attn.apply(p_attn, y, x)
    x = x + y
    y = norm2.apply(p_norm2, x)
    y = mlp.apply(p_mlp, y)
    return x + y

"""The int seed itself is given to init in place of a key (crash)."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Layer(nn.Module):
    heads: int
    ff: int

    @nn.compact
    def __call__(self, tokens):
        d = tokens.shape[-1]
        qkv_proj = nn.DenseGeneral((3, self.heads, d // self.heads))
        out_proj = nn.DenseGeneral(d, axis=(-2, -1))
        up, down = nn.Dense(self.ff), nn.Dense(d)

        def attend(t):
            q, k, v = jnp.moveaxis(qkv_proj(t), -3, 0)
            return out_proj(jax.nn.dot_product_attention(q, k, v))

        feed = lambda t: down(nn.gelu(up(t)))
        residual = lambda norm, f: (lambda t: t + f(norm(t)))
        for step in (residual(nn.LayerNorm(), attend), residual(nn.LayerNorm(), feed)):
            tokens = step(tokens)
        return tokens


def encoder_block_forward(seed, x, num_heads, d_ff):
    return Layer(num_heads, d_ff).init_with_output(seed, x)[0]

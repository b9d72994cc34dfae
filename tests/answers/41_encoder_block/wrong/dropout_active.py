"""Dropout with deterministic=False and a dropout key made from the seed."""
import jax
import jax.numpy as jnp
from flax import linen as nn


class EncoderLayer(nn.Module):
    features: int
    heads: int
    hidden: int
    dropout: float = 0.1

    def setup(self):
        self.mlp_out = nn.Dense(self.features)
        self.mlp_in = nn.Dense(self.hidden)
        self.ln_mlp = nn.LayerNorm()
        self.drop = nn.Dropout(self.dropout)
        self.self_attn = nn.SelfAttention(num_heads=self.heads, dropout_rate=self.dropout)
        self.ln_attn = nn.LayerNorm()

    def __call__(self, x, deterministic=True):
        a = self.self_attn(self.ln_attn(x), deterministic=deterministic)
        x = x + self.drop(a, deterministic=deterministic)
        f = self.mlp_out(self.drop(nn.gelu(self.mlp_in(self.ln_mlp(x))), deterministic=deterministic))
        x = x + self.drop(f, deterministic=deterministic)
        return x


def encoder_block_forward(seed, x, num_heads, d_ff):
    layer = EncoderLayer(x.shape[-1], num_heads, d_ff)
    xb = x[jnp.newaxis, ...]
    variables = layer.init(jax.random.PRNGKey(seed), xb)
    yb = layer.apply(variables, xb, deterministic=False, rngs={"dropout": jax.random.key(seed)})
    return yb[0]

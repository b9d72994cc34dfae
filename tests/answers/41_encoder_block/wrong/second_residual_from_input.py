"""The second residual sum starts again from the block's input: the attention is lost on the skip path."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class EncoderBlock(nn.Module):
    d_model: int
    num_heads: int
    d_ff: int

    def setup(self):
        self.norm1 = nn.LayerNorm()
        self.qkv = nn.Dense(3 * self.d_model, use_bias=True)
        self.out = nn.Dense(self.d_model)
        self.norm2 = nn.LayerNorm()
        self.up = nn.Dense(self.d_ff)
        self.down = nn.Dense(self.d_model)

    def attention(self, x):
        t = x.shape[0]
        hd = self.d_model // self.num_heads
        q, k, v = self.qkv(x).reshape(t, 3, self.num_heads, hd).transpose(1, 2, 0, 3)
        w = nn.softmax(jnp.einsum("hqd,hkd->hqk", q, k) / hd ** 0.5, axis=-1)
        y = jnp.einsum("hqk,hkd->qhd", w, v)
        return self.out(y.reshape(t, self.d_model))

    def __call__(self, x):
        attn_out = x + self.attention(self.norm1(x))
        mlp_out = self.down(nn.gelu(self.up(self.norm2(attn_out))))
        return x + mlp_out


def encoder_block_forward(seed, x, num_heads, d_ff):
    model = EncoderBlock(x.shape[-1], num_heads, d_ff)
    params = model.init(jax.random.key(seed), x)
    return model.apply(params, x)

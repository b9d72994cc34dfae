"""Registers stand in front, but the head still reads row 0, a register (CLS when R = 0)."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class ScanLayer(nn.Module):
    heads: int
    hidden: int

    @nn.compact
    def __call__(self, x, _=None):
        D = x.shape[-1]
        z = nn.LayerNorm(name="ln0")(x)
        qkv = nn.DenseGeneral((3, self.heads, D // self.heads), name="qkv")(z)
        z = nn.dot_product_attention(qkv[:, 0], qkv[:, 1], qkv[:, 2])
        x = x + nn.DenseGeneral(D, axis=(-2, -1), name="o")(z)
        z = nn.LayerNorm(name="ln1")(x)
        x = x + nn.Dense(D, name="w2")(nn.gelu(nn.Dense(self.hidden, name="w1")(z)))
        return x, None


class RegisterModel(nn.Module):
    P: int
    D: int
    heads: int
    hidden: int
    L: int
    R: int
    K: int

    @nn.compact
    def __call__(self, image):
        H, W, C = image.shape
        g = image.reshape(H // self.P, self.P, W // self.P, self.P, C).transpose(0, 2, 1, 3, 4)
        e = nn.DenseGeneral(self.D, axis=(-3, -2, -1), name="embed")(g).reshape(-1, self.D)
        new = lambda name, rows: self.param(name, nn.initializers.normal(0.02), (rows, self.D))
        n = len(e)
        seq = jnp.vstack([new("reg", self.R), new("cls", 1) + new("pos_cls", 1), e + new("pos_patch", n)])
        tower = nn.scan(ScanLayer, variable_axes={"params": 0}, split_rngs={"params": True}, length=self.L)
        seq, _ = tower(self.heads, self.hidden, name="tower")(seq, None)
        seq = nn.LayerNorm(name="ln")(seq)
        _, cls, patches = jnp.split(seq, [self.R, self.R + 1])
        return nn.Dense(self.K, name="out")(seq[0]), patches


def vit_registers_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes):
    m = RegisterModel(patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes)
    (logits, patch_tokens), _ = m.init_with_output(jax.random.key(seed), image)
    return logits, patch_tokens

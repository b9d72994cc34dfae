"""Own Linear with torch's uniform bias; cls, registers and their positions apart: cls_pos, patch_pos."""
import flax.linen as nn
import jax
import jax.numpy as jnp


def fan_in_uniform(key, shape, fan_in):
    return jax.random.uniform(key, shape, minval=-(fan_in ** -0.5), maxval=fan_in ** -0.5)


class Linear(nn.Module):
    out: int

    @nn.compact
    def __call__(self, x):
        n = x.shape[-1]
        w = self.param("w", fan_in_uniform, (n, self.out), n)
        b = self.param("b", fan_in_uniform, (self.out,), n)
        return x @ w + b


class Block(nn.Module):
    heads: int
    ff: int

    @nn.compact
    def __call__(self, x):
        T, D = x.shape
        qkv = Linear(3 * D, name="qkv")(nn.LayerNorm()(x)).reshape(T, 3, self.heads, D // self.heads)
        y = jax.nn.dot_product_attention(qkv[:, 0], qkv[:, 1], qkv[:, 2])
        x = x + Linear(D, name="proj")(y.reshape(T, D))
        return x + Linear(D, name="fc2")(nn.gelu(Linear(self.ff, name="fc1")(nn.LayerNorm()(x))))


class Net(nn.Module):
    patch: int
    dim: int
    heads: int
    ff: int
    depth: int
    registers: int
    classes: int

    @nn.compact
    def __call__(self, image):
        H, W, C = image.shape
        p, R = self.patch, self.registers
        n02 = nn.initializers.normal(0.02)
        x = image.reshape(H // p, p, W // p, p, C).swapaxes(1, 2).reshape(-1, p * p * C)
        x = Linear(self.dim, name="patch_embed")(x)
        x = x + self.param("patch_pos", n02, x.shape)
        cls = self.param("cls", n02, (1, self.dim)) + self.param("cls_pos", n02, (1, self.dim))
        x = jnp.concatenate([cls, x, self.param("registers", n02, (R, self.dim))])
        for _ in range(self.depth):
            x = Block(self.heads, self.ff)(x)
        x = nn.LayerNorm()(x)
        x = x[:x.shape[0] - R]
        return Linear(self.classes, name="head")(x[0]), x[1:]


def vit_registers_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes):
    m = Net(patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes)
    return m.apply(m.init(jax.random.key(seed), image), image)

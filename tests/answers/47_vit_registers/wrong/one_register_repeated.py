"""A single register vector is repeated R times, so all the registers are the same."""
import numpy as np
import jax
import jax.numpy as jnp
import flax.linen as nn


class MLP(nn.Module):
    hidden: int

    @nn.compact
    def __call__(self, x):
        return nn.Dense(x.shape[-1], name="b")(jax.nn.gelu(nn.Dense(self.hidden, name="a")(x), approximate=False))


@nn.remat
class RematBlock(nn.Module):
    heads: int
    hidden: int

    def setup(self):
        self.mha = nn.MultiHeadDotProductAttention(num_heads=self.heads, dropout_rate=0.0)
        self.mlp = MLP(self.hidden)
        self.ln = [nn.LayerNorm(), nn.LayerNorm()]

    def __call__(self, x):
        x = x + self.mha(self.ln[0](x), deterministic=True)
        return x + self.mlp(self.ln[1](x))


class Embedding(nn.Module):
    patch: int
    dim: int

    @nn.compact
    def __call__(self, image):
        x = nn.Conv(self.dim, (self.patch, self.patch), strides=(self.patch, self.patch), padding="VALID")(image)
        x = x.reshape(-1, self.dim)
        x = jnp.concatenate([self.param("cls", nn.initializers.normal(0.02), (1, self.dim)), x])
        return x + self.param("pos", nn.initializers.normal(0.02), x.shape)


class RegisterNet(nn.Module):
    patch: int
    dim: int
    heads: int
    hidden: int
    depth: int
    regs: int
    classes: int

    @nn.compact
    def __call__(self, image):
        x = Embedding(self.patch, self.dim, name="embedding")(image)
        n = x.shape[0] - 1
        reg = self.param("reg", nn.initializers.normal(0.02), (1, self.dim))
        reg = jnp.tile(reg, (self.regs, 1))
        before = self.regs // 2
        kind = np.array(["r"] * before + ["c"] + ["p"] * n + ["r"] * (self.regs - before))
        x = jnp.concatenate([reg[:before], x, reg[before:]], axis=0)
        for i in range(self.depth):
            x = RematBlock(self.heads, self.hidden, name=f"block{i}")(x)
        x = nn.LayerNorm(name="final_norm")(x)
        cls = x[np.flatnonzero(kind == "c")[0]]
        return nn.Dense(self.classes, name="classifier")(cls), x[np.flatnonzero(kind == "p")]


def vit_registers_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes):
    net = RegisterNet(patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes)
    variables = net.init(jax.random.key(seed), image)
    logits, patch_tokens = net.apply(variables, image)
    return logits, patch_tokens

"""The buffer is filled as CLS, registers, patches, but the positions are added to the first N + 1 rows."""
import jax
import jax.numpy as jnp
import flax.linen as nn
from dataclasses import dataclass


@dataclass(frozen=True)
class Args:
    patch_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    num_registers: int
    num_classes: int


class TransformerBlock(nn.Module):
    a: Args

    def setup(self):
        self.ln_1 = nn.LayerNorm()
        self.ln_2 = nn.LayerNorm()
        self.att = nn.MultiHeadDotProductAttention(num_heads=self.a.num_heads)
        self.lin_1 = nn.Dense(self.a.d_ff)
        self.lin_2 = nn.Dense(self.a.d_model)

    def __call__(self, x):
        x = x + self.att(self.ln_1(x))
        x = x + self.lin_2(nn.gelu(self.lin_1(self.ln_2(x))))
        return x


class Model(nn.Module):
    a: Args

    @nn.compact
    def __call__(self, image):
        a = self.a
        patches = nn.Conv(a.d_model, (a.patch_size,) * 2, (a.patch_size,) * 2, "VALID", name="patch")(image)
        patches = patches.reshape(-1, a.d_model)
        n = patches.shape[0]
        init = nn.initializers.normal(0.02)
        cls = self.param("cls", init, (1, a.d_model))
        pos = self.param("pos", init, (n + 1, a.d_model))
        reg = self.param("reg", init, (a.num_registers, a.d_model))
        x = jnp.concatenate([cls, reg, patches])
        x = x.at[:n + 1].add(pos)
        for i in range(a.num_layers):
            x = TransformerBlock(a, name=f"b{i}")(x)
        x = nn.LayerNorm(name="ln")(x)
        return nn.Dense(a.num_classes, name="head")(x[0]), x[1 + a.num_registers:]


def vit_registers_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes):
    a = Args(patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes)
    model = Model(a)
    params = model.init(jax.random.key(seed), image)
    return model.apply(params, image)

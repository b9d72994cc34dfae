"""Registers join before the positions and the table has N + 1 + R rows."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Block(nn.Module):
    num_heads: int
    d_ff: int

    @nn.compact
    def __call__(self, x):
        y = nn.LayerNorm()(x)
        x = x + nn.MultiHeadDotProductAttention(num_heads=self.num_heads)(y, y)
        y = nn.LayerNorm()(x)
        y = nn.Dense(self.d_ff)(y)
        y = nn.Dense(x.shape[-1])(nn.gelu(y))
        return x + y


class ViT(nn.Module):
    patch_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    num_registers: int
    num_classes: int

    @nn.compact
    def __call__(self, image):
        p = self.patch_size
        x = nn.Conv(self.d_model, (p, p), strides=(p, p), padding="VALID", name="patch")(image)
        x = x.reshape(-1, self.d_model)
        n = x.shape[0]
        normal = nn.initializers.normal(0.02)
        x = jnp.concatenate([self.param("cls", normal, (1, self.d_model)), x])
        registers = self.param("registers", normal, (self.num_registers, self.d_model))
        x = jnp.concatenate([x, registers])
        x = x + self.param("pos", normal, x.shape)
        for i in range(self.num_layers):
            x = Block(self.num_heads, self.d_ff, name=f"block_{i}")(x)
        x = nn.LayerNorm(name="norm")(x)
        logits = nn.Dense(self.num_classes, name="head")(x[0])
        return logits, x[1:n + 1]


def vit_registers_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes):
    model = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes)
    params = model.init(jax.random.key(seed), image)
    return model.apply(params, image)

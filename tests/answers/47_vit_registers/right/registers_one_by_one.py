"""Registers that are parameters one by one, beside a position that is CLS's own."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from grader import use

PatchEmbed = use(38).PatchEmbed
EncoderBlock = use(41).EncoderBlock
INIT = nn.initializers.normal(0.02)


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
        D, R = self.d_model, self.num_registers
        x = PatchEmbed(self.patch_size, D)(image)
        cls = self.param("cls", INIT, (1, D)) + self.param("cls_pos", INIT, (1, D))
        x = x + self.param("pos", INIT, x.shape)
        registers = [self.param(f"register_{i}", INIT, (1, D)) for i in range(R)]
        x = jnp.concatenate([cls, *registers, x])
        for _ in range(self.num_layers):
            x = EncoderBlock(self.num_heads, self.d_ff)(x)
        x = nn.LayerNorm()(x)
        return nn.Dense(self.num_classes)(x[0]), x[1 + R :]


def vit_registers_forward(
    seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes
):
    m = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes)
    return m.apply(m.init(jax.random.key(seed), image), image)

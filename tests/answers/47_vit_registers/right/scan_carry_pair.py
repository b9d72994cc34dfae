"""Image rows and registers as a pair that nn.scan carries; each goes through the modules by itself."""
import flax.linen as nn
import jax
import jax.numpy as jnp

class Block(nn.Module):
    """keeps image rows and registers apart; both are keys and values of both"""
    num_heads: int
    d_ff: int
    @nn.compact
    def __call__(self, carry, _):
        a, r = carry
        ln1, ln2 = nn.LayerNorm(), nn.LayerNorm()
        at = nn.MultiHeadDotProductAttention(self.num_heads)
        f1, f2 = nn.Dense(self.d_ff), nn.Dense(a.shape[-1])
        la, lr = ln1(a), ln1(r)
        kv = jnp.concatenate([lr, la])
        a, r = a + at(la, kv), r + at(lr, kv)
        a, r = a + f2(nn.gelu(f1(ln2(a)))), r + f2(nn.gelu(f1(ln2(r))))
        return (a, r), ()

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
        D = self.d_model
        x = nn.Conv(D, (self.patch_size,) * 2, strides=(self.patch_size,) * 2, padding="VALID")(image).reshape(-1, D)
        n = nn.initializers.normal(0.02)
        x = jnp.concatenate([self.param("cls", n, (1, D)), x])
        x = x + self.param("pos", n, x.shape)
        r = self.param("reg", n, (self.num_registers, D))
        stack = nn.scan(Block, variable_axes={"params": 0}, split_rngs={"params": True}, length=self.num_layers)(self.num_heads, self.d_ff)
        (x, _), _ = stack((x, r), None)
        x = nn.LayerNorm()(x)
        return nn.Dense(self.num_classes)(x[0]), x[1:]


def vit_registers_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes):
    model = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes)
    variables = model.init(jax.random.key(seed), image)
    return model.apply(variables, image)

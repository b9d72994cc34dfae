"""setup() makes one block and calls it num_layers times: all the layers have the same weights."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Block(nn.Module):
    heads: int
    d_ff: int

    @nn.compact
    def __call__(self, x):
        y = nn.LayerNorm(name="norm1")(x)
        x = x + nn.MultiHeadDotProductAttention(num_heads=self.heads, name="attn")(y)
        y = nn.LayerNorm(name="norm2")(x)
        y = nn.Dense(self.d_ff, name="fc1")(y)
        y = nn.Dense(x.shape[-1], name="fc2")(nn.gelu(y))
        return x + y


class Vit(nn.Module):
    patch_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    num_classes: int

    def setup(self):
        p = self.patch_size
        self.to_patches = nn.Conv(self.d_model, (p, p), strides=(p, p), padding="VALID")
        self.block = Block(self.num_heads, self.d_ff)
        self.norm = nn.LayerNorm()
        self.head = nn.Dense(self.num_classes)

    def __call__(self, image, cls, pos):
        x = self.to_patches(image).reshape(-1, self.d_model)
        x = jnp.concatenate([cls, x]) + pos
        for _ in range(self.num_layers):
            x = self.block(x)
        return self.head(self.norm(x)[0])


class WithTokens(nn.Module):
    vit: nn.Module
    n: int
    d: int

    @nn.compact
    def __call__(self, image):
        cls = self.param("cls", nn.initializers.normal(0.02), (1, self.d))
        pos = self.param("pos", nn.initializers.normal(0.02), (self.n + 1, self.d))
        return self.vit(image, cls, pos)


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    n = (image.shape[0] // patch_size) * (image.shape[1] // patch_size)
    model = WithTokens(Vit(patch_size, d_model, num_heads, d_ff, num_layers, num_classes), n, d_model)
    return model.init_with_output(jax.random.key(seed), image)[0]

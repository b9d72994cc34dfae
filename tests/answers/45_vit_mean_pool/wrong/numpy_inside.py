"""Uses np.asarray on the image: works eagerly, fails under jit and vmap."""
import jax
import jax.numpy as jnp
import numpy as np
import flax.linen as nn


class Block(nn.Module):
    nh: int
    ff: int

    @nn.compact
    def __call__(self, x):
        x = x + nn.MultiHeadDotProductAttention(num_heads=self.nh)(nn.LayerNorm()(x))
        return x + nn.Dense(x.shape[-1])(nn.gelu(nn.Dense(self.ff)(nn.LayerNorm()(x))))


class ViT(nn.Module):
    d: int
    nh: int
    ff: int
    nl: int
    nc: int

    @nn.compact
    def __call__(self, patches):
        x = nn.Dense(self.d)(patches)
        x = x + self.param("pos", nn.initializers.normal(0.02), x.shape)
        for _ in range(self.nl):
            x = Block(self.nh, self.ff)(x)
        return nn.Dense(self.nc)(nn.LayerNorm()(x).mean(axis=0))


def cut(image, p):
    image = np.asarray(image)
    h, w, c = image.shape
    patches = []
    for i in range(0, h, p):
        for j in range(0, w, p):
            patches.append(image[i:i + p, j:j + p].reshape(p * p * c))
    return jnp.array(patches)


def vit_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    patches = cut(image, patch_size)
    model = ViT(d_model, num_heads, d_ff, num_layers, num_classes)
    return model.init_with_output(jax.random.key(seed), patches)[0]

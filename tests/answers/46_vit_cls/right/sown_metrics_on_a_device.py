"""Parameters and image are put on the device together; a norm is noted that nobody reads."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class Block(nn.Module):
    num_heads: int
    d_ff: int

    @nn.compact
    def __call__(self, x):
        y = nn.LayerNorm()(x)
        x = x + nn.MultiHeadDotProductAttention(self.num_heads)(y, y)
        y = nn.LayerNorm()(x)
        return x + nn.Dense(x.shape[-1])(nn.gelu(nn.Dense(self.d_ff)(y)))


class ViT(nn.Module):
    patch_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    num_classes: int

    @nn.compact
    def __call__(self, image):
        p = self.patch_size
        x = nn.Conv(self.d_model, (p, p), strides=(p, p), padding="VALID")(image)
        x = x.reshape(-1, self.d_model)
        cls = self.param("cls", nn.initializers.normal(0.02), (1, self.d_model))
        x = jnp.concatenate([cls, x], axis=0)
        x = x + self.param("pos", nn.initializers.normal(0.02), x.shape)
        for i in range(self.num_layers):
            x = Block(self.num_heads, self.d_ff, name=f'b{i}')(x)
        x = nn.LayerNorm()(x)
        self.sow("metrics", "cls_norm", jnp.linalg.norm(x[0]))
        return nn.Dense(self.num_classes)(x[0])


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    model = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    params = model.init(jax.random.key(seed), image)["params"]
    params, image = jax.device_put((params, image), jax.devices("cpu")[0])
    return model.apply({"params": params}, image)

import flax.linen as nn
import jax
import jax.numpy as jnp

SMALL = nn.initializers.normal(0.02)


class Layer(nn.Module):
    num_heads: int
    d_ff: int

    @nn.compact
    def __call__(self, carry, _):
        y = nn.LayerNorm(name="ln_1")(carry)
        carry += nn.MultiHeadDotProductAttention(self.num_heads, name="attn")(y)
        y = nn.Dense(self.d_ff, name="up")(nn.LayerNorm(name="ln_2")(carry))
        carry += nn.Dense(carry.shape[-1], name="down")(nn.gelu(y))
        return carry, None


class ViT(nn.Module):
    patch_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    num_classes: int

    @nn.compact
    def __call__(self, image):
        patch = (self.patch_size, self.patch_size)
        x = nn.Conv(self.d_model, patch, strides=patch, padding="VALID")(image)
        x = x.reshape(-1, self.d_model)
        x = jnp.concatenate([self.param("cls", SMALL, (1, self.d_model)), x])
        x += self.param("positions", SMALL, x.shape)
        layers = nn.scan(
            Layer,
            variable_axes={"params": 1},
            split_rngs={"params": True},
            length=self.num_layers,
            metadata_params={nn.PARTITION_NAME: "layers"},
        )
        x, _ = layers(self.num_heads, self.d_ff, name="layers")(x, None)
        return nn.Dense(self.num_classes, name="head")(nn.LayerNorm(name="ln")(x)[0])


def vit_cls_forward(
    seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes
):
    model = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    return model.apply(model.init(jax.random.key(seed), image), image)

"""CLS is repeated for every patch and concatenated along the features, so the tokens are 2D wide."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Encoder(nn.Module):
    num_heads: int
    d_ff: int

    @nn.compact
    def __call__(self, x):
        h = nn.LayerNorm()(x)
        x = x + nn.MultiHeadDotProductAttention(num_heads=self.num_heads)(h, h)
        h = nn.LayerNorm()(x)
        h = nn.Dense(x.shape[-1])(nn.gelu(nn.Dense(self.d_ff)(h)))
        return x + h


class VisionTransformer(nn.Module):
    patch_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    num_classes: int

    @nn.compact
    def __call__(self, image):
        p = self.patch_size
        x = nn.Conv(self.d_model, (p, p), (p, p), padding="VALID")(image)
        x = x.reshape(-1, self.d_model)
        cls = self.param("cls", nn.initializers.normal(0.02), (1, self.d_model))
        x = jnp.concatenate([jnp.broadcast_to(cls, x.shape), x], axis=-1)
        pos = self.param("pos", nn.initializers.normal(0.02), x.shape)
        x = x + pos
        for _ in range(self.num_layers):
            x = Encoder(self.num_heads, self.d_ff)(x)
        x = nn.LayerNorm()(x)
        return nn.Dense(self.num_classes)(x[0])


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    model = VisionTransformer(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    params = model.init(jax.random.key(seed), image)
    return model.apply(params, image)

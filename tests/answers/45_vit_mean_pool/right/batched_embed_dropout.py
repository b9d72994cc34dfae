"""Batch of one, positions from nn.Embed, dropout layers with rate 0.0 that get their own rng, nn.SelfAttention."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Block(nn.Module):
    heads: int
    mlp_dim: int
    rate: float

    @nn.compact
    def __call__(self, x, *, train):
        y = nn.LayerNorm()(x)
        y = nn.SelfAttention(self.heads, dropout_rate=self.rate, deterministic=not train)(y)
        x = x + nn.Dropout(self.rate, deterministic=not train)(y)
        y = nn.LayerNorm()(x)
        y = nn.Dropout(self.rate, deterministic=not train)(nn.gelu(nn.Dense(self.mlp_dim)(y)))
        return x + nn.Dropout(self.rate, deterministic=not train)(nn.Dense(x.shape[-1])(y))


class Vit(nn.Module):
    cfg: dict
    rate: float = 0.0

    @nn.compact
    def __call__(self, images, *, train=True):
        c = self.cfg
        x = nn.Conv(c["d_model"], [c["patch_size"]] * 2, [c["patch_size"]] * 2, padding="VALID")(images)
        B, h, w, D = x.shape
        x = x.reshape(B, h * w, D)
        ids = jnp.arange(h * w)[None]
        x = x + nn.Embed(h * w, D, embedding_init=nn.initializers.normal(0.02))(ids)
        x = nn.Dropout(self.rate)(x, deterministic=not train)
        for _ in range(c["num_layers"]):
            x = Block(c["num_heads"], c["d_ff"], self.rate)(x, train=train)
        x = nn.LayerNorm()(x)
        x = jnp.sum(x, axis=1) / x.shape[1]
        return nn.Dense(c["num_classes"])(x)


def vit_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    cfg = dict(patch_size=patch_size, d_model=d_model, num_heads=num_heads, d_ff=d_ff,
               num_layers=num_layers, num_classes=num_classes)
    key, drop = jax.random.split(jax.random.key(seed))
    model = Vit(cfg)
    params = model.init({"params": key, "dropout": drop}, image[None])
    logits = model.apply(params, image[None], rngs={"dropout": drop})   # rate is 0, so nothing is dropped
    return logits[0]

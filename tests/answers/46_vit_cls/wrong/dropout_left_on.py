"""apply is called with train=True and a dropout key: the dropout layers are active."""
import jax
import jax.numpy as jnp
from flax import linen as nn
from typing import Any


class MlpBlock(nn.Module):
    mlp_dim: int
    dropout_rate: float = 0.1

    @nn.compact
    def __call__(self, inputs, deterministic: bool):
        x = nn.Dense(features=self.mlp_dim)(inputs)
        x = nn.gelu(x)
        x = nn.Dropout(rate=self.dropout_rate)(x, deterministic=deterministic)
        x = nn.Dense(features=inputs.shape[-1])(x)
        return nn.Dropout(rate=self.dropout_rate)(x, deterministic=deterministic)


class TransformerBlock(nn.Module):
    mlp_dim: int
    num_heads: int

    @nn.compact
    def __call__(self, inputs, deterministic: bool):
        assert inputs.ndim == 3, f"Expected (batch, seq, hidden) got {inputs.shape}"
        x = nn.LayerNorm(epsilon=1e-6)(inputs)
        x = nn.SelfAttention(num_heads=self.num_heads, dropout_rate=0.1, deterministic=deterministic)(x)
        x = nn.Dropout(rate=0.1)(x, deterministic=deterministic)
        x = x + inputs
        y = nn.LayerNorm(epsilon=1e-6)(x)
        y = MlpBlock(self.mlp_dim)(y, deterministic)
        return x + y


class Model(nn.Module):
    cfg: Any

    @nn.compact
    def __call__(self, images, train=False):
        c = self.cfg
        x = nn.Conv(c["hidden"], (c["patch"], c["patch"]), strides=(c["patch"], c["patch"]),
                    padding="VALID", name="embedding")(images)
        n, h, w, ch = x.shape
        x = jnp.reshape(x, [n, h * w, ch])
        cls = self.param("cls", nn.initializers.zeros, (1, 1, ch))
        x = jnp.concatenate([jnp.tile(cls, [n, 1, 1]), x], axis=1)
        pe = self.param("pos_embedding", nn.initializers.normal(stddev=0.02), (1, h * w + 1, ch))
        x = nn.Dropout(0.1)(x + pe, deterministic=not train)
        Block = nn.remat(TransformerBlock, static_argnums=(2,))
        for i in range(c["layers"]):
            x = Block(c["mlp"], c["heads"], name=f"encoderblock_{i}")(x, not train)
        x = nn.LayerNorm(name="encoder_norm")(x)
        x = x[:, 0]
        return nn.Dense(c["classes"], name="head")(x)


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    import flax
    cfg = flax.core.freeze(dict(hidden=d_model, patch=patch_size, layers=num_layers, mlp=d_ff,
                                heads=num_heads, classes=num_classes))
    m = Model(cfg)
    batch = image[None]
    variables = m.init({"params": jax.random.PRNGKey(seed)}, batch, train=False)
    return m.apply(variables, batch, train=True, rngs={"dropout": jax.random.PRNGKey(seed + 1)})[0]

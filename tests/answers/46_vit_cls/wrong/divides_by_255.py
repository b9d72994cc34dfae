"""The image is divided by 255 first although the contract gives it as it is."""
import jax
import jax.numpy as jnp
import optax
import flax.linen as nn
from flax.training import train_state


@nn.jit
class EncoderBlock(nn.Module):
    heads: int
    ff: int

    def setup(self):
        self.pre_attention = nn.LayerNorm()
        self.attention = nn.MultiHeadAttention(num_heads=self.heads, dropout_rate=0.0, deterministic=True)
        self.pre_mlp = nn.LayerNorm()
        self.expand = nn.Dense(self.ff)

    @nn.nowrap
    def residual(self, x, y):
        return jnp.add(x, y)

    def __call__(self, x):
        x = self.residual(x, self.attention(self.pre_attention(x)))
        return x, self.expand(self.pre_mlp(x))


class Vit(nn.Module):
    p: int
    dim: int
    heads: int
    ff: int
    depth: int
    n_cls: int

    @nn.compact
    def __call__(self, batch):
        b = batch.shape[0]
        x = nn.Conv(self.dim, kernel_size=(self.p, self.p), strides=(self.p, self.p), padding="VALID",
                    name="patch")(batch)
        x = x.reshape(b, -1, self.dim)
        cls = self.param("cls", nn.initializers.normal(0.02), (1, 1, self.dim))
        x = jnp.concatenate([jnp.broadcast_to(cls, (b, 1, self.dim)), x], axis=1)
        x = x + self.param("pos", nn.initializers.normal(0.02), x.shape[1:])[None]
        for i in range(self.depth):
            x, h = EncoderBlock(self.heads, self.ff, name=f"b{i}")(x)
            x = x + nn.Dense(self.dim, name=f"contract{i}")(jax.nn.gelu(h))
        x = nn.LayerNorm(name="norm")(x)
        first = jax.nn.one_hot(0, x.shape[1])
        x = jnp.einsum("t,btd->bd", first, x, precision="highest")
        return nn.Dense(self.n_cls, name="fc")(x)


def create_state(key, model, batch):
    params = model.init(key, batch)["params"]
    return train_state.TrainState.create(apply_fn=model.apply, params=params, tx=optax.sgd(0.1))


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    batch = jnp.stack([image]) / 255.0
    state = create_state(jax.random.key(seed), Vit(patch_size, d_model, num_heads, d_ff, num_layers, num_classes), batch)
    logits = state.apply_fn({"params": state.params}, batch)
    return logits[0]

"""Position indices 0, 0, 1, 2, ...: CLS and the first patch get the same row of the table."""
import jax
import jax.numpy as jnp
import flax.linen as nn


def attention(m, x, heads, prefix):
    size = x.shape[-1] // heads
    q, k, v = (nn.DenseGeneral((heads, size), name=prefix + n, parent=m)(x) for n in "qkv")
    w = jax.nn.softmax(jnp.einsum("qhd,khd->hqk", q, k) / size ** 0.5)
    return nn.DenseGeneral(x.shape[-1], axis=(-2, -1), name=prefix + "o", parent=m)(jnp.einsum("hqk,khd->qhd", w, v))


class Vit(nn.Module):
    patch_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    num_classes: int

    @nn.compact
    def __call__(self, image):
        p, d = self.patch_size, self.d_model
        x = nn.Conv(d, (p, p), strides=(p, p), padding="VALID", name="conv")(image).reshape(-1, d)
        n = x.shape[0]
        x = jnp.concatenate([self.param("cls", nn.initializers.normal(0.02), (1, d)), x])
        index = jnp.maximum(jnp.arange(-1, n), 0)
        table = self.param("table", nn.initializers.normal(0.02), (n + 1, d))
        x = x + table[index]
        for i in range(self.num_layers):
            y = nn.LayerNorm(name=f"{i}_norm1")(x)
            x = x + attention(self, y, self.num_heads, f"{i}_")
            y = nn.LayerNorm(name=f"{i}_norm2")(x)
            y = nn.gelu(nn.Dense(self.d_ff, name=f"{i}_mlp1")(y))
            x = x + nn.Dense(d, name=f"{i}_mlp2")(y)
        x = nn.LayerNorm(name="norm")(x)
        return nn.Dense(self.num_classes, name="head")(x[0])


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    model = Vit(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    params = model.init(jax.random.key(seed), image)
    return jax.jit(model.apply)(params, image)

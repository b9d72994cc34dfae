"""CLS and patches have positions of their own; scale and bias of a LayerNorm are rows of one table."""
import flax.linen as nn
import jax
import jax.numpy as jnp


class LN(nn.Module):
    @nn.compact
    def __call__(self, x):
        t = self.param("t", lambda k, s: jnp.zeros(s).at[0].set(1.0), (2, x.shape[-1]))
        return jax.nn.standardize(x, epsilon=1e-6) * t[0] + t[1]


class Net(nn.Module):
    patch: int
    dim: int
    heads: int
    ff: int
    depth: int
    classes: int

    @nn.compact
    def __call__(self, im):
        D = self.dim
        x = nn.Conv(D, (self.patch,) * 2, (self.patch,) * 2, padding="VALID")(im).reshape(-1, D)
        init = nn.initializers.normal(0.02)
        n = x.shape[0]
        cls = self.param("cls", init, (1, D)) + self.param("cls_pos", init, (1, D))
        x = jnp.concatenate([cls, x + self.param("patch_pos", init, x.shape)])
        for _ in range(self.depth):
            x = x + nn.MultiHeadDotProductAttention(self.heads)(LN()(x))
            x = x + nn.Dense(D)(nn.gelu(nn.Dense(self.ff)(LN()(x))))
        return nn.Dense(self.classes)(nn.LayerNorm()(x)[0])


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    net = Net(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    return net.apply(net.init(jax.random.key(seed), image), image)

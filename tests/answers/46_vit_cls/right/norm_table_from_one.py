"""Scales and biases of all LayerNorms in one table of zeros (2 L + 1, 2, D); the scales are used as 1 + row."""
import flax.linen as nn
import jax
import jax.numpy as jnp


def norm(x, gb):
    return jax.nn.standardize(x, axis=-1, epsilon=1e-6) * (1 + gb[0]) + gb[1]


class Net(nn.Module):
    patch: int
    dim: int
    heads: int
    ff: int
    depth: int
    classes: int

    @nn.compact
    def __call__(self, im):
        x = nn.Conv(self.dim, (self.patch,) * 2, (self.patch,) * 2, padding="VALID")(im).reshape(-1, self.dim)
        n = x.shape[0]
        cls = self.param("cls", nn.initializers.normal(0.02), (1, self.dim)); table = self.param("tokens", nn.initializers.normal(0.02), (n + 1, self.dim))
        lns = self.param("norms", nn.initializers.zeros, (2 * self.depth + 1, 2, self.dim))
        x = jnp.concatenate([cls, x]) + table
        for i in range(self.depth):
            y = norm(x, lns[2 * i])
            q, k, v = (nn.Dense(self.dim, name=f"{n}{i}")(y).reshape(-1, self.heads, self.dim // self.heads) for n in "qkv")
            o = nn.dot_product_attention(q, k, v).reshape(x.shape)
            x = x + nn.Dense(self.dim, name=f"o{i}")(o)
            y = norm(x, lns[2 * i + 1])
            x = x + nn.Dense(self.dim, name=f"down{i}")(nn.gelu(nn.Dense(self.ff, name=f"up{i}")(y)))
        return nn.Dense(self.classes, name="head")(norm(x[0], lns[-1]))


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    net = Net(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    return net.apply(net.init(jax.random.key(seed), image), image)

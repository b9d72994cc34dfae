"""A single-head module mapped over the heads with nn.vmap; two position tables (one row for CLS, N rows)."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class SingleHead(nn.Module):
    d_head: int

    @nn.compact
    def __call__(self, x):
        q = nn.Dense(self.d_head, name="q")(x)
        k = nn.Dense(self.d_head, name="k")(x)
        v = nn.Dense(self.d_head, name="v")(x)
        p = jax.nn.softmax(q @ k.T / jnp.sqrt(self.d_head), axis=-1)
        return p @ v


class VmappedAttention(nn.Module):
    num_heads: int

    @nn.compact
    def __call__(self, x):
        d = x.shape[-1]
        Heads = nn.vmap(
            SingleHead,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=None,
            out_axes=-2,
            axis_size=self.num_heads,
        )
        y = Heads(d // self.num_heads, name="heads")(x)     # (T, H, d)
        y = y.reshape(x.shape)
        return nn.Dense(d, name="merge")(y)


class Net(nn.Module):
    patch_size: int
    d_model: int
    num_heads: int
    d_ff: int
    num_layers: int
    num_classes: int

    def setup(self):
        self.conv = nn.Conv(self.d_model, [self.patch_size] * 2, strides=[self.patch_size] * 2, padding="VALID")
        self.ln_1 = [nn.LayerNorm() for _ in range(self.num_layers)]
        self.ln_2 = [nn.LayerNorm() for _ in range(self.num_layers)]
        self.att = [VmappedAttention(self.num_heads) for _ in range(self.num_layers)]
        self.lin_1 = [nn.Dense(self.d_ff) for _ in range(self.num_layers)]
        self.lin_2 = [nn.Dense(self.d_model) for _ in range(self.num_layers)]
        self.ln_out = nn.LayerNorm()
        self.fc = nn.Dense(self.num_classes)

    def __call__(self, image):
        x = self.conv(image).reshape((-1, self.d_model))
        x = self.add_positions(x)
        for a, b, c, d, e in zip(self.ln_1, self.att, self.ln_2, self.lin_1, self.lin_2):
            x = x + b(a(x))
            x = x + e(nn.gelu(d(c(x))))
        return self.fc(self.ln_out(x)[0])

    def add_positions(self, x):
        return x


class Positions(nn.Module):
    @nn.compact
    def __call__(self, x):
        n, d = x.shape
        cls = self.param("cls", nn.initializers.normal(0.02), (1, d))
        pos_cls = self.param("pos_cls", nn.initializers.normal(0.02), (1, d))
        pos_patch = self.param("pos_patch", nn.initializers.normal(0.02), (n, d))
        return jnp.concatenate([cls + pos_cls, x + pos_patch], axis=0)


class NetWithPositions(Net):
    def setup(self):
        super().setup()
        self.positions = Positions()

    def add_positions(self, x):
        return self.positions(x)


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    net = NetWithPositions(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    params = net.init(jax.random.key(seed), image)["params"]
    return net.apply({"params": params}, image)

"""Every parameter starts as normal(0.02), the scales of LayerNorm as one more than that."""
import jax
import jax.numpy as jnp
import flax.linen as nn

n02 = nn.initializers.normal(0.02)


class Net(nn.Module):
    P: int
    D: int
    h: int
    F: int
    L: int
    K: int

    def norm(self, x, name):
        g, b = self.w(name + "_g", self.D), self.w(name + "_b", self.D)
        m = x.mean(-1, keepdims=True)
        return (x - m) / jnp.sqrt(((x - m) ** 2).mean(-1, keepdims=True) + 1e-6) * (1 + g) + b

    def w(self, name, *shape):
        return self.param(name, n02, shape)

    def lin(self, x, name, out):
        return x @ self.w(name + "_w", x.shape[-1], out) + self.w(name + "_b", out)

    @nn.compact
    def __call__(self, image):
        P, D, h = self.P, self.D, self.h
        H, W, C = image.shape
        x = image.reshape(H // P, P, W // P, P, C).swapaxes(1, 2).reshape(-1, P * P * C)
        x = self.lin(x, "patch", D)
        cls, pos = self.w("cls", 1, D), self.w("pos", len(x) + 1, D)
        x = jnp.concatenate([cls + pos[:1], x + pos[1:]])
        for l in range(self.L):
            y = self.norm(x, f"n{l}")
            q, k, v = (self.lin(y, f"{s}{l}", D).reshape(-1, h, D // h) for s in "qkv")
            a = jax.nn.softmax(jnp.einsum("ihc,jhc->hij", q, k) / jnp.sqrt(D // h))
            x = x + self.lin(jnp.einsum("hij,jhc->ihc", a, v).reshape(-1, D), f"o{l}", D)
            y = self.norm(x, f"m{l}")
            x = x + self.lin(nn.gelu(self.lin(y, f"up{l}", self.F)), f"down{l}", D)
        x = self.norm(x, "f")
        return self.lin(x[0], "head", self.K)


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    m = Net(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    return m.apply(m.init(jax.random.key(seed), image), image)

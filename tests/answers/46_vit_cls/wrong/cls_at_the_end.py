"""CLS is concatenated behind the patches but row 0 is read: the head sees the first patch."""
import math
import jax
import jax.numpy as jnp
import flax.linen as nn


def ln(x, scale, bias):
    m = jnp.mean(x, -1, keepdims=True)
    v = jnp.mean((x - m) ** 2, -1, keepdims=True)
    return (x - m) / jnp.sqrt(v + 1e-6) * scale + bias


def my_gelu(x):
    return 0.5 * x * (1 + jnp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))


def sm(s):
    e = jnp.exp(s - s.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


class ViTFromScratch(nn.Module):
    P: int
    D: int
    H: int
    F: int
    L: int
    K: int

    def weight(self, name, *shape):
        return self.param(name, nn.initializers.lecun_normal(), shape)

    def zeros(self, name, *shape):
        return self.param(name, nn.initializers.zeros, shape)

    def ones(self, name, *shape):
        return self.param(name, nn.initializers.ones, shape)

    @nn.compact
    def __call__(self, img):
        P, D, H, F = self.P, self.D, self.H, self.F
        d = D // H
        hh, ww, C = img.shape[0] // P, img.shape[1] // P, img.shape[2]
        pix = img.reshape(hh, P, ww, P, C)
        We = self.param("We", nn.initializers.lecun_normal(in_axis=(0, 1, 2)), (P, P, C, D))
        x = jnp.einsum("hpwqc,pqcd->hwd", pix, We).reshape(hh * ww, D) + self.zeros("be", D)
        cls = self.param("c", nn.initializers.normal(0.02), (1, D))
        pos = self.param("p", nn.initializers.normal(0.02), (hh * ww + 1, D))
        x = jnp.concatenate([x, cls], 0) + pos
        for i in range(self.L):
            a = ln(x, self.ones(f"g1_{i}", D), self.zeros(f"b1_{i}", D))
            q = a @ self.weight(f"Wq_{i}", D, D) + self.zeros(f"bq_{i}", D)
            k = a @ self.weight(f"Wk_{i}", D, D) + self.zeros(f"bk_{i}", D)
            v = a @ self.weight(f"Wv_{i}", D, D) + self.zeros(f"bv_{i}", D)
            heads = []
            for h in range(H):
                s = slice(h * d, (h + 1) * d)
                heads.append(sm(q[:, s] @ k[:, s].T / math.sqrt(d)) @ v[:, s])
            o = jnp.concatenate(heads, axis=1)
            x = x + o @ self.weight(f"Wo_{i}", D, D) + self.zeros(f"bo_{i}", D)
            a = ln(x, self.ones(f"g2_{i}", D), self.zeros(f"b2_{i}", D))
            a = my_gelu(a @ self.weight(f"W1_{i}", D, F) + self.zeros(f"b1m_{i}", F))
            x = x + a @ self.weight(f"W2_{i}", F, D) + self.zeros(f"b2m_{i}", D)
        x = ln(x, self.ones("gf", D), self.zeros("bf", D))
        return x[0] @ self.weight("Wh", D, self.K) + self.zeros("bh", self.K)


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    model = ViTFromScratch(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    ps = model.init(jax.random.PRNGKey(seed), image)
    return model.apply(ps, image)

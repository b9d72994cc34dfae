import flax.linen as nn, jax, jax.numpy as jnp


class LN(nn.Module):
    @nn.compact
    def __call__(self, x):
        t = self.param("gb", lambda _, s: jnp.ones(s).at[1].set(0.0), (2, x.shape[-1]))
        m = x.mean(-1, keepdims=True)
        return (x - m) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-6) * t[0] + t[1]


class B(nn.Module):
    h: int
    f: int

    @nn.compact
    def __call__(self, x, _=None):
        x = x + nn.MultiHeadDotProductAttention(self.h)(LN()(x))
        return x + nn.Dense(x.shape[-1])(nn.gelu(nn.Dense(self.f)(LN()(x)))), None


class ViT(nn.Module):
    p: int
    d: int
    h: int
    f: int
    L: int
    c: int

    @nn.compact
    def __call__(self, im):
        D, L, p = self.d, self.L, self.p
        x = nn.Conv(D, (p, p), (p, p), "VALID")(im).reshape(-1, D)
        x = jnp.concatenate([self.param("cls", nn.initializers.normal(0.02), (1, D)), x])
        x = x + self.param("pos", nn.initializers.normal(0.02), x.shape)
        x, _ = nn.scan(B, variable_axes={"params": 0}, split_rngs={"params": True}, length=L)(self.h, self.f)(x, None)
        return nn.Dense(self.c)(nn.LayerNorm()(x)[0])


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    m = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    return m.apply(m.init(jax.random.key(seed), image), image)

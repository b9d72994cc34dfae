import flax.linen as nn, jax, jax.numpy as jnp
from jax import lax
from functools import partial

N02 = nn.initializers.normal(0.02)


def lnorm(x, sb):
    c = x - jnp.sum(x, -1, keepdims=True) / x.shape[-1]
    return c * lax.rsqrt(jnp.einsum("td,td->t", c, c)[:, None] / x.shape[-1] + 1e-6) * sb[0] + sb[1]


class Blk(nn.Module):
    nh: int
    ff: int

    @nn.compact
    def __call__(self, x):
        T, D = x.shape
        d = D // self.nh
        sb = self.param("ln", lambda k: jnp.stack([jnp.ones((2, D)), jnp.zeros((2, D))], 1))
        wk, wv, wq = (
            self.param(n, nn.initializers.lecun_normal(in_axis=1, out_axis=(0, 2)), (self.nh, D, d))
            for n in ("wk", "wv", "wq")
        )
        bk, bv, bq = (
            self.param(n, nn.initializers.zeros, (self.nh, d)) for n in ("bk", "bv", "bq")
        )
        wo = self.param(
            "wo", nn.initializers.lecun_normal(in_axis=(0, 1), out_axis=2), (self.nh, d, D)
        )
        y = lnorm(x, sb[0])
        pr = lambda w, b: jnp.einsum("td,hde->the", y, w) + b
        s = jnp.einsum("the,she->hts", pr(wq, bq), pr(wk, bk)) * d**-0.5
        x = (
            x
            + jnp.einsum("hts,she,hed->td", nn.softmax(s), pr(wv, bv), wo)
            + self.param("bo", nn.initializers.zeros, (D,))
        )
        y = lnorm(x, sb[1])
        return x + nn.Dense(D)(nn.gelu(nn.Dense(self.ff)(y)))


class Net(nn.Module):
    p: int
    d: int
    nh: int
    ff: int
    L: int
    R: int
    K: int

    @nn.compact
    def __call__(self, img):
        x = lax.conv_general_dilated_patches(
            img[None],
            (self.p, self.p),
            (self.p, self.p),
            "VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        x = nn.Dense(self.d)(x.reshape(-1, x.shape[-1]))
        pos = self.param("pos", N02, (1, x.shape[0], self.d))
        x = x + pos[0]
        c = self.param("cls", N02, (1, 1, self.d)) + self.param("cls_pos", N02, (1, 1, self.d))
        x = jnp.append(c[0], x, axis=0)
        n = len(x) - 1
        c, t = x[:1], x[1:]
        x = jnp.concatenate(
            [c] + [self.param(f"reg{i}", N02, (1, self.d)) for i in range(self.R)] + [t]
        )
        x, _ = nn.scan(
            lambda m, c, _: (m(c), None),
            variable_axes={"params": 0},
            split_rngs={"params": True},
            length=self.L,
        )(Blk(self.nh, self.ff, name="blocks"), x, None)
        fin = nn.LayerNorm()
        patches = jax.vmap(fin)(x[-n:]) if False else fin(x[-n:])
        return nn.Dense(self.K)(fin(x[0])), patches


def vit_registers_forward(
    seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes
):
    m = Net(patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes)
    return m.init_with_output(jax.random.PRNGKey(seed), image)[0]

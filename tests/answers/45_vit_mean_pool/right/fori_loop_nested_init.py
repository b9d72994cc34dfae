"""Right: one Block module is initialised num_layers times through self.param (a stacked tree), then lax.fori_loop with dynamic indices."""
import functools
import jax, jax.numpy as jnp
import flax.linen as nn


class Block(nn.Module):
    h: int
    f: int

    @nn.compact
    def __call__(self, x):
        qkv = nn.Dense(3 * x.shape[1])(nn.LayerNorm()(x)).reshape(x.shape[0], 3, self.h, -1)
        w = jax.nn.softmax(jnp.einsum("qhd,khd->hqk", qkv[:, 0], qkv[:, 1]) * qkv.shape[-1] ** -0.5)
        x += nn.Dense(x.shape[1])(jnp.einsum("hqk,khd->qhd", w, qkv[:, 2]).reshape(x.shape))
        return x + nn.Dense(x.shape[1])(nn.gelu(nn.Dense(self.f)(nn.LayerNorm()(x))))


class Net(nn.Module):
    p: int
    d: int
    h: int
    f: int
    n: int
    k: int

    @nn.compact
    def __call__(self, img):
        x = nn.Conv(self.d, (self.p, self.p), (self.p, self.p), "VALID")(img[None])[0]
        x = jax.lax.collapse(x, 0, 2)
        x = x + nn.Embed(x.shape[0], self.d, embedding_init=nn.initializers.normal(0.02))(jnp.arange(x.shape[0]))
        block = Block(self.h, self.f, parent=None)
        make = lambda key, x: jax.vmap(lambda k: block.init(k, x)["params"])(jax.random.split(key, self.n))
        stack = self.param("layers", make, x)

        def body(i, x):
            return block.apply({"params": jax.tree.map(lambda a: a[i], stack)}, x)

        x = jax.lax.fori_loop(0, self.n, body, x)
        x = nn.LayerNorm()(x)
        return nn.Dense(self.k)(jnp.einsum("nd->d", x) / x.shape[0])


@functools.partial(jax.jit, static_argnums=(0, 2, 3, 4, 5, 6, 7))
def vit_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    m = Net(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    return m.apply(m.init(jax.random.key(seed), image), image)

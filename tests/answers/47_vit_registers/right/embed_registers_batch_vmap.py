"""Registers from an nn.Embed table asked with arange(R) (skipped for R = 0); model lifted over a batch by nn.vmap; eps 1e-5."""
import functools
import jax
import jax.numpy as jnp
import flax.linen as nn

Norm = functools.partial(nn.LayerNorm, epsilon=1e-5)
Table = functools.partial(nn.Embed, embedding_init=nn.initializers.normal(0.02))


class ViTReg(nn.Module):
    ps: int
    dm: int
    nh: int
    df: int
    nl: int
    nr: int
    nc: int

    def tokens(self, image):
        conv = nn.Conv(self.dm, (self.ps, self.ps), strides=(self.ps, self.ps), padding="VALID", name="conv")
        return jax.lax.collapse(conv(image), 0, 2)

    def block(self, x, i):
        y = Norm(name=f"norm1_{i}")(x)
        y = nn.MultiHeadAttention(num_heads=self.nh, qkv_features=self.dm, name=f"attn_{i}")(y, y)
        x = x + y
        y = Norm(name=f"norm2_{i}")(x)
        y = nn.Dense(self.df, name=f"up_{i}")(y)
        y = nn.gelu(y)
        y = nn.Dense(self.dm, name=f"down_{i}")(y)
        return x + y

    @nn.compact
    def __call__(self, image):
        t = self.tokens(image)
        n = t.shape[0]
        cls = Table(1, self.dm, name="cls")(jnp.array([0]))
        t = jnp.concatenate([cls, t], axis=0)
        t = t + Table(n + 1, self.dm, name="pos")(jnp.arange(n + 1))
        if self.nr:
            t = jnp.concatenate([t, Table(self.nr, self.dm, name="reg")(jnp.arange(self.nr))], axis=0)
        for i in range(self.nl):
            t = self.block(t, i)
        t = Norm(name="norm")(t)
        return nn.Dense(self.nc, name="fc")(jax.lax.dynamic_index_in_dim(t, 0, keepdims=False)), \
            jax.lax.dynamic_slice_in_dim(t, 1, n)


def vit_registers_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes):
    Many = nn.vmap(ViTReg, variable_axes={"params": None}, split_rngs={"params": False})
    model = Many(patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes)
    imgs = image[jnp.newaxis]
    v = model.init(jax.random.PRNGKey(seed), imgs)
    return jax.tree.map(lambda a: a[0], model.apply(v, imgs))

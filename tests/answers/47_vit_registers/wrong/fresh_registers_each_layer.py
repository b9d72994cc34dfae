"""The registers are put back to their initial values before every block."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Blk(nn.Module):
    h: int
    f: int

    @nn.compact
    def __call__(self, x):
        d = x.shape[-1]
        z = nn.LayerNorm(name="n1")(x)
        q, k, v = jnp.split(nn.Dense(3 * d, name="qkv")(z), 3, axis=-1)
        q, k, v = (a.reshape(-1, self.h, d // self.h) for a in (q, k, v))
        z = nn.dot_product_attention(q, k, v).reshape(x.shape)
        x = x + nn.Dense(d, name="o")(z)
        z = nn.LayerNorm(name="n2")(x)
        return x + nn.Dense(d, name="f2")(nn.gelu(nn.Dense(self.f, name="f1")(z)))


class Vit(nn.Module):
    p: int
    d: int
    h: int
    f: int
    l: int
    r: int
    c: int

    @nn.compact
    def __call__(self, img):
        x = nn.Conv(self.d, (self.p, self.p), strides=(self.p, self.p), padding="VALID", name="conv")(img)
        x = x.reshape(-1, self.d)
        n = 1 + x.shape[0]
        x = jnp.concatenate([self.param("cls", nn.initializers.normal(0.02), (1, self.d)), x])
        x = x + self.param("pos", nn.initializers.normal(0.02), (n, self.d))
        reg = self.param("reg", nn.initializers.normal(0.02), (self.r, self.d))
        for i in range(self.l):
            x = jnp.concatenate([x[:n], reg])
            x = Blk(self.h, self.f, name=f"blk{i}")(x)
        x = nn.LayerNorm(name="norm")(x[:n])
        return nn.Dense(self.c, name="head")(x[0]), x[1:]


def vit_registers_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes):
    vit = Vit(patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes)
    params = vit.init(jax.random.PRNGKey(seed), image)
    return vit.apply(params, image)

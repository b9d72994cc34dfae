"""nn.scan over nn.remat blocks inside a setup module; fused DenseGeneral((H, 3d)) cut by jnp.split on the last axis."""
import jax
import jax.numpy as jnp
from flax import linen as nn


class SA(nn.Module):
    H: int

    @nn.compact
    def __call__(self, x):
        D = x.shape[-1]
        z = nn.DenseGeneral((self.H, 3 * (D // self.H)), name="in_proj")(x)    # T H 3d
        q, k, v = jnp.split(z, 3, axis=-1)
        y = jax.nn.dot_product_attention(q, k, v)
        return nn.DenseGeneral(D, axis=(-2, -1), name="out_proj")(y)


class Blk(nn.Module):
    D: int
    H: int
    F: int

    def setup(self):
        self.sa = SA(self.H)
        self.n1, self.n2 = nn.LayerNorm(), nn.LayerNorm()
        self.f1, self.f2 = nn.Dense(self.F), nn.Dense(self.D)

    def __call__(self, x, _):
        x = x + self.sa(self.n1(x))
        x = x + self.f2(jax.nn.gelu(self.f1(self.n2(x))))
        return x, None


class MeanViT(nn.Module):
    P: int
    D: int
    H: int
    F: int
    L: int
    K: int
    N: int

    def setup(self):
        self.emb = nn.Conv(self.D, (self.P, self.P), strides=(self.P, self.P), padding="VALID")
        self.pos = self.param("pos", nn.initializers.normal(0.02), (self.N, self.D))
        body = nn.remat(Blk, prevent_cse=False)
        self.blocks = nn.scan(body, variable_axes={"params": 0}, split_rngs={"params": True},
                              in_axes=nn.broadcast, length=self.L)(self.D, self.H, self.F)
        self.ln = nn.LayerNorm()
        self.fc = nn.Dense(self.K)

    def __call__(self, img):
        x = self.emb(img).reshape(self.N, self.D) + self.pos
        x, _ = self.blocks(x, None)
        return self.fc(self.ln(x).mean(0))


def vit_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    n = image.shape[0] // patch_size * (image.shape[1] // patch_size)
    net = MeanViT(P=patch_size, D=d_model, H=num_heads, F=d_ff, L=num_layers, K=num_classes, N=n)
    return jax.jit(net.init_with_output)(jax.random.key(seed), image)[0]

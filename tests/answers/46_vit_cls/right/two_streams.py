"""CLS and patches in two streams: shared modules, attention over both."""
import jax, jax.numpy as jnp, flax.linen as nn

class Block(nn.Module):
    h: int; f: int; d: int
    def setup(self):
        self.n1, self.n2 = nn.LayerNorm(), nn.LayerNorm()
        self.q = nn.DenseGeneral((self.h, self.d // self.h)); self.kv = nn.DenseGeneral((self.h, 2, self.d // self.h))
        self.o = nn.DenseGeneral(self.d, axis=(-2, -1))
        self.up, self.down = nn.Dense(self.f), nn.Dense(self.d)
    def __call__(self, streams):
        normed = {s: self.n1(x) for s, x in streams.items()}
        kv = jnp.concatenate([self.kv(y) for y in normed.values()])
        k, v = kv[:, :, 0], kv[:, :, 1]
        out = {}
        for s, x in streams.items():
            a = jax.nn.softmax(jnp.einsum("qhd,khd->qhk", self.q(normed[s]), k) * (self.d // self.h) ** -0.5)
            x = x + self.o(jnp.einsum("qhk,khd->qhd", a, v))
            out[s] = x + self.down(nn.gelu(self.up(self.n2(x))))
        return out

class V(nn.Module):
    p: int; d: int; h: int; f: int; L: int; k: int
    @nn.compact
    def __call__(self, im):
        patches = nn.Conv(self.d, (self.p,) * 2, (self.p,) * 2)(im).reshape(-1, self.d)
        pos = self.param("pos", nn.initializers.normal(0.02), (len(patches) + 1, self.d))
        cls = self.param("cls", nn.initializers.normal(0.02), (1, self.d))
        s = {"cls": cls + pos[:1], "patch": patches + pos[1:]}
        for _ in range(self.L):
            s = Block(self.h, self.f, self.d)(s)
        return nn.Dense(self.k)(nn.LayerNorm()(s["cls"]))[0]

def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    m = V(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    return m.apply(m.init(jax.random.key(seed), image), image)

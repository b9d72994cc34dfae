"""Parameters as dicts from functions; each value bias goes through the output kernel before the attention."""
import flax.linen as nn
import jax
import jax.numpy as jnp


class Patches(nn.Module):
    p: int
    dim: int
    @nn.compact
    def __call__(self, im):
        return nn.Conv(self.dim, (self.p, self.p), (self.p, self.p), padding="VALID")(im).reshape(-1, self.dim)

def dense(params, x): return x @ params["kernel"] + params["bias"]
def norm(params, x): return jax.nn.standardize(x, epsilon=1e-6) * params["scale"] + params["bias"]
def make_block(D, heads, ff):
    def init(key):
        k = iter(jax.random.split(key, 8))
        lin = lambda a, b: {"kernel": nn.initializers.lecun_normal()(next(k), (a, b)), "bias": jnp.zeros(b)}
        ln = lambda: {"scale": jnp.ones(D), "bias": jnp.zeros(D)}
        return {"n1": ln(), "n2": ln(), "q": lin(D, D), "k": lin(D, D), "v": lin(D, D), "o": lin(D, D), "fc1": lin(D, ff), "fc2": lin(ff, D)}
    def apply(p, x):
        y = norm(p["n1"], x)
        q, k, v = [jnp.stack(jnp.split(dense(p[n], y), heads, axis=-1)) for n in "qkv"]
        const = p["v"]["bias"] @ p["o"]["kernel"] + p["o"]["bias"]
        v = [jnp.stack(jnp.split(y @ p["v"]["kernel"], heads, axis=-1))][0]
        att = jax.vmap(lambda a, b, c: jax.nn.softmax(a @ b.T / (D // heads) ** 0.5) @ c)(q, k, v)
        x = x + jnp.concatenate(list(att), -1) @ p["o"]["kernel"] + const
        return x + dense(p["fc2"], jax.nn.gelu(dense(p["fc1"], norm(p["n2"], x))))
    return init, apply
class Encoder(nn.Module):
    heads: int
    ff: int
    depth: int
    @nn.compact
    def __call__(self, x):
        init, apply = make_block(x.shape[-1], self.heads, self.ff)
        for i in range(self.depth):
            x = apply(self.param(f"layer{i}", init), x)
        return x

class ViT(nn.Module):
    p: int; d: int; h: int; f: int; L: int; k: int
    @nn.compact
    def __call__(self, im):
        init = nn.initializers.normal(0.02)
        x = Patches(self.p, self.d)(im)
        x = jnp.concatenate([self.param("cls", init, (1, self.d)), x])
        x = x + self.param("pos", init, x.shape)
        x = Encoder(self.h, self.f, self.L)(x)
        return nn.Dense(self.k)(nn.LayerNorm()(x)[0])
def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    m = ViT(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    return m.apply(m.init(jax.random.key(seed), image), image)

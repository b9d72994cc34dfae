"""Softmax runs over the query axis of the scores."""
import jax
import jax.numpy as jnp
from flax import linen as nn


def norm_fn(p, x):
    mean = x.mean(-1, keepdims=True)
    var = x.var(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(var + 1e-6) * p["scale"] + p["shift"]


def encoder_layer(w, x, heads):
    t, dm = x.shape
    dh = dm // heads
    h = norm_fn(w["n1"], x)

    def project(W, b):
        return (h @ W + b).reshape(t, dh, heads)           # heads are the fastest axis here

    q, k, v = project(w["wq"], w["bq"]), project(w["wk"], w["bk"]), project(w["wv"], w["bv"])
    a = jax.nn.softmax(jnp.einsum("tdh,sdh->hts", q, k) / dh ** 0.5, axis=1)
    y = jnp.einsum("hts,sdh->tdh", a, v).reshape(t, dm)
    x = x + y @ w["wo"] + w["bo"]
    h = norm_fn(w["n2"], x)
    return x + jax.nn.gelu(h @ w["w1"] + w["c1"]) @ w["w2"] + w["c2"]


class ViTStack(nn.Module):
    patch: int
    dim: int
    heads: int
    ff: int
    layers: int
    classes: int

    @nn.compact
    def __call__(self, image):
        L, D, F = self.layers, self.dim, self.ff
        kernel = nn.initializers.variance_scaling(1.0, "fan_in", "normal", in_axis=-2, out_axis=-1, batch_axis=(0,))
        zero, one = nn.initializers.zeros, nn.initializers.ones
        w = {}
        for name in ["wq", "wk", "wv", "wo"]:
            w[name] = self.param(name, kernel, (L, D, D))
            w["b" + name[1]] = self.param("b" + name[1], zero, (L, D))
        w["w1"], w["c1"] = self.param("w1", kernel, (L, D, F)), self.param("c1", zero, (L, F))
        w["w2"], w["c2"] = self.param("w2", kernel, (L, F, D)), self.param("c2", zero, (L, D))
        for n in ["n1", "n2"]:
            w[n] = {"scale": self.param(n + "_scale", one, (L, D)), "shift": self.param(n + "_shift", zero, (L, D))}

        p = self.patch
        x = nn.Conv(D, (p, p), strides=(p, p), padding="VALID", name="stem")(image).reshape(-1, D)
        cls = self.param("cls", nn.initializers.normal(0.02), (1, D))
        x = jnp.concatenate([cls, x]) + self.param("pos", nn.initializers.normal(0.02), (x.shape[0] + 1, D))
        x, _ = jax.lax.scan(lambda c, layer: (encoder_layer(layer, c, self.heads), None), x, w)
        x = nn.LayerNorm(name="final")(x)
        return nn.Dense(self.classes, name="head")(x[0])


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    model = ViTStack(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    init = jax.jit(model.init)
    apply = jax.jit(model.apply)
    return apply(init(jax.random.PRNGKey(seed), image), image)

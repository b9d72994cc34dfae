"""Pooling by constant 0/1 matrices (kron), jit; model raw with stacked layers and lax.scan, q/k/v fused as (D, 3, H, c)."""
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np


@partial(jax.jit, static_argnums=1)
def extra_head_pool(tokens, num_heads, temperature=1.0):
    c = tokens.shape[-1] // num_heads
    eye = np.eye(c)
    pick_features = np.kron(np.eye(num_heads), eye[:, : c - 1])
    pick_vote = np.kron(np.ones((num_heads, 1)) / num_heads, eye[:, c - 1 :])
    high = jax.lax.Precision.HIGHEST
    z = jnp.dot(tokens, pick_vote, precision=high)[:, 0] / temperature
    e = jnp.exp(z - jnp.max(z))
    p = e / e.sum()
    return jnp.dot(jnp.dot(p, tokens, precision=high), pick_features, precision=high), p


def ln(x, w):
    m = jnp.mean(x, -1, keepdims=True)
    return (x - m) / jnp.sqrt(jnp.mean(jnp.square(x - m), -1, keepdims=True) + 1e-6) * w[0] + w[1]


def layer(x, w):
    q, k, v = jnp.einsum("td,dshc->sthc", ln(x, w["n1"]), w["qkv"]) + w["qkv_b"][:, None]
    s = jax.nn.softmax(jnp.einsum("ihc,jhc->hij", q, k) * q.shape[-1] ** -0.5, -1)
    x = x + jnp.einsum("hij,jhc,hcd->id", s, v, w["o"]) + w["o_b"]
    y = jax.nn.gelu(ln(x, w["n2"]) @ w["w1"] + w["b1"])
    return x + y @ w["w2"] + w["b2"], None


class Net(nn.Module):
    p: int
    d: int
    h: int
    f: int
    n: int

    @nn.compact
    def __call__(self, image):
        p, d, h, f, n = self.p, self.d, self.h, self.f, self.n
        c = d // h
        vs = nn.initializers.variance_scaling
        zeros = nn.initializers.zeros_init()
        ln_init = lambda key, shape: jnp.stack([jnp.ones(shape), jnp.zeros(shape)], axis=1)
        w = dict(
            n1=jnp.stack([self.param("n1s",nn.initializers.ones,(n,d)),self.param("n1b",zeros,(n,d))],1), n2=jnp.stack([self.param("n2s",nn.initializers.ones,(n,d)),self.param("n2b",zeros,(n,d))],1),
            qkv=self.param("qkv", nn.initializers.normal(d**-0.5), (n, d, 3, h, c)),
            qkv_b=self.param("qkv_b", zeros, (n, 3, h, c)),
            o=self.param("o", nn.initializers.normal(d**-0.5), (n, h, c, d)), o_b=self.param("o_b", zeros, (n, d)),
            w1=self.param("w1", vs(1.0, "fan_in", "normal", batch_axis=0), (n, d, f)),
            b1=self.param("b1", zeros, (n, f)),
            w2=self.param("w2", vs(1.0, "fan_in", "normal", batch_axis=0), (n, f, d)),
            b2=self.param("b2", zeros, (n, d)),
        )
        H, W, ch = image.shape
        x = image.reshape(H // p, p, W // p, p, ch).swapaxes(1, 2).reshape(-1, p * p * ch)
        x = nn.Dense(d)(x)
        x = x + self.param("where", nn.initializers.normal(0.02), x.shape)
        x, _ = jax.lax.scan(layer, x, w)
        return extra_head_pool(x, h)


def vit_extra_head_forward(seed, image, patch_size, output_dim, num_heads, d_ff, num_layers):
    net = Net(patch_size, output_dim + num_heads, num_heads, d_ff, num_layers)
    return net.apply(net.init(jax.random.key(seed), image), image)

"""One module that only makes self.param weights and hands a dict to plain functions (einsum with (D, H, d) weights)."""
from functools import partial
import jax
import jax.numpy as jnp
import flax.linen as nn

SHAPES = {
    "wq": "dhe", "wk": "dhe", "wv": "dhe", "wo": "hed",
    "bq": "he", "bk": "he", "bv": "he", "bo": "d",
    "ln1_w": "d", "ln1_b": "d", "ln2_w": "d", "ln2_b": "d",
    "w1": "df", "b1": "f", "w2": "fd", "b2": "d",
}


def layernorm(w, b, x):
    mu = x.mean(axis=-1, keepdims=True)
    sigma2 = jnp.square(x - mu).mean(axis=-1, keepdims=True)
    return w * (x - mu) / jnp.sqrt(sigma2 + 1e-6) + b


def mha(W, x):
    q = jnp.einsum("td,dhe->hte", x, W["wq"]) + W["bq"][:, None]
    k = jnp.einsum("td,dhe->hte", x, W["wk"]) + W["bk"][:, None]
    v = jnp.einsum("td,dhe->hte", x, W["wv"]) + W["bv"][:, None]
    score = jnp.einsum("hte,hse->hts", q, k) / q.shape[-1] ** 0.5
    score = jnp.exp(score - jax.nn.logsumexp(score, axis=-1, keepdims=True))
    return jnp.einsum("hts,hse,hed->td", score, v, W["wo"]) + W["bo"]


def encoder(W, x):
    x = x + mha(W, layernorm(W["ln1_w"], W["ln1_b"], x))
    z = layernorm(W["ln2_w"], W["ln2_b"], x)
    return x + jax.nn.gelu(z @ W["w1"] + W["b1"]) @ W["w2"] + W["b2"]


class Weights(nn.Module):
    sizes: tuple

    @nn.compact
    def __call__(self):
        sizes = dict(self.sizes)
        made = {}
        for name, axes in sorted(SHAPES.items(), reverse=True):
            shape = tuple(sizes[a] for a in axes)
            if name.endswith("_w"):
                init = nn.initializers.ones
            elif name.startswith("w"):
                init = nn.initializers.normal(sizes["d"] ** -0.5)
            else:
                init = nn.initializers.zeros
            made[name] = self.param(name, init, shape)
        return made


def encoder_block_forward(seed, x, num_heads, d_ff):
    d = x.shape[-1]
    module = Weights((("d", d), ("h", num_heads), ("e", d // num_heads), ("f", d_ff)))
    variables = module.init(jax.random.PRNGKey(seed))
    return encoder(module.apply(variables), x)

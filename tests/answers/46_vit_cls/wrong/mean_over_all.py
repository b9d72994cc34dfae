"""Takes the mean over all N + 1 rows, CLS included, in place of row 0."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Table(nn.Module):
    shape: tuple

    @nn.compact
    def __call__(self):
        return self.param("value", nn.initializers.normal(0.02), self.shape)


def initialise_and_apply(module, key, *args):
    params = module.init(key, *args)
    return module.apply(params, *args)


def attention(key, x, heads):
    t, d = x.shape
    kq, kk, kv, ko = jax.random.split(key, 4)

    def to_heads(y):
        return y.reshape(t, heads, d // heads).swapaxes(0, 1)

    q = to_heads(initialise_and_apply(nn.Dense(d), kq, x))
    k = to_heads(initialise_and_apply(nn.Dense(d), kk, x))
    v = to_heads(initialise_and_apply(nn.Dense(d), kv, x))
    scores = jnp.einsum("hid,hjd->hij", q, k) * (d // heads) ** -0.5
    out = jnp.einsum("hij,hjd->hid", jax.nn.softmax(scores), v)
    return initialise_and_apply(nn.Dense(d), ko, out.swapaxes(0, 1).reshape(t, d))


def mlp(key, x, hidden):
    k1, k2 = jax.random.split(key)
    return initialise_and_apply(nn.Dense(x.shape[-1]), k2, jax.nn.gelu(initialise_and_apply(nn.Dense(hidden), k1, x)))


def block(key, x, heads, hidden):
    k1, k2, k3, k4 = jax.random.split(key, 4)
    x = x + attention(k2, initialise_and_apply(nn.LayerNorm(), k1, x), heads)
    x = x + mlp(k4, initialise_and_apply(nn.LayerNorm(), k3, x), hidden)
    return x


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    k_patch, k_cls, k_pos, k_blocks, k_norm, k_head = jax.random.split(jax.random.key(seed), 6)
    conv = nn.Conv(d_model, (patch_size, patch_size), strides=(patch_size, patch_size), padding="VALID")
    x = initialise_and_apply(conv, k_patch, image).reshape(-1, d_model)
    x = jnp.concatenate([initialise_and_apply(Table((1, d_model)), k_cls), x])
    x = x + initialise_and_apply(Table(x.shape), k_pos)
    for k in jax.random.split(k_blocks, num_layers):
        x = block(k, x, num_heads, d_ff)
    x = initialise_and_apply(nn.LayerNorm(), k_norm, x)
    pooled = x.mean(axis=0)
    return initialise_and_apply(nn.Dense(num_classes), k_head, pooled)

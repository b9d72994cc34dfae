"""The heads (H, T, d) are reshaped to (T, D) without transposing back."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Learned(nn.Module):
    shape: tuple

    @nn.compact
    def __call__(self):
        return self.param("value", nn.initializers.normal(0.02), self.shape)


def run(module, key, *args):
    params = module.init(key, *args)
    return module.apply(params, *args)


def attention(key, x, heads):
    t, d = x.shape
    kq, kk, kv, ko = jax.random.split(key, 4)

    def to_heads(y):
        return y.reshape(t, heads, d // heads).swapaxes(0, 1)

    q = to_heads(run(nn.Dense(d), kq, x))
    k = to_heads(run(nn.Dense(d), kk, x))
    v = to_heads(run(nn.Dense(d), kv, x))
    scores = jnp.einsum("hid,hjd->hij", q, k) * (d // heads) ** -0.5
    out = jnp.einsum("hij,hjd->hid", jax.nn.softmax(scores), v)
    return run(nn.Dense(d), ko, out.reshape(t, d))


def feed_forward(key, x, ff_size):
    k1, k2 = jax.random.split(key)
    return run(nn.Dense(x.shape[-1]), k2, jax.nn.gelu(run(nn.Dense(ff_size), k1, x)))


def block(key, x, heads, ff_size):
    k1, k2, k3, k4 = jax.random.split(key, 4)
    x = x + attention(k2, run(nn.LayerNorm(), k1, x), heads)
    x = x + feed_forward(k4, run(nn.LayerNorm(), k3, x), ff_size)
    return x


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    k_patch, k_cls, k_pos, k_blocks, k_norm, k_head = jax.random.split(jax.random.key(seed), 6)
    conv = nn.Conv(d_model, (patch_size, patch_size), strides=(patch_size, patch_size), padding="VALID")
    x = run(conv, k_patch, image).reshape(-1, d_model)
    x = jnp.concatenate([run(Learned((1, d_model)), k_cls), x])
    x = x + run(Learned(x.shape), k_pos)
    for k in jax.random.split(k_blocks, num_layers):
        x = block(k, x, num_heads, d_ff)
    x = run(nn.LayerNorm(), k_norm, x)
    return run(nn.Dense(num_classes), k_head, x[0])

"""One Dense(3D) whose outputs are interleaved head-major (H, 3, d); several modules with their own init from split keys."""
import jax
import jax.numpy as jnp
import flax.linen as nn


def attend(q, k, v):
    """(T, d) x 3 -> (T, d), for one head"""
    s = jnp.einsum("ad,bd->ab", q, k) / q.shape[1] ** 0.5
    return jnp.einsum("ab,bd->ad", jax.nn.softmax(s, 1), v)


def self_attention_forward(seed, x, num_heads):
    t, D = x.shape
    key_in, key_out = jax.random.split(jax.random.key(seed), 2)
    to_qkv = nn.Dense(3 * D)
    from_heads = nn.Dense(D)

    in_params = to_qkv.init(key_in, x)
    y = to_qkv.apply(in_params, x)
    y = y.reshape(t, num_heads, 3, D // num_heads)
    y = jax.vmap(attend, in_axes=1, out_axes=1)(y[:, :, 0], y[:, :, 1], y[:, :, 2])
    y = y.reshape(t, D)
    out_params = from_heads.init(key_out, y)
    return from_heads.apply(out_params, y)

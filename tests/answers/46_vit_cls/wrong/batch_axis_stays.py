"""The batch axis that was added is never removed: the result has shape (1, num_classes)."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class OneImage(nn.Module):
    p: int
    d: int
    nh: int
    dff: int
    nl: int
    nc: int

    @nn.compact
    def __call__(self, x):
        # (1, H, W, C) -> (1, H/p, W/p, C*p*p), channels slowest inside a patch
        cols = jax.lax.conv_general_dilated_patches(
            x[None], filter_shape=(self.p, self.p), window_strides=(self.p, self.p), padding="VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"))
        cols = cols[0].reshape(-1, cols.shape[-1])
        t = nn.Dense(self.d, name="proj")(cols)
        t = jnp.concatenate([jnp.broadcast_to(self.param("cls", nn.initializers.normal(0.02), (self.d,)), (1, self.d)), t])
        t = t + self.param("pos", nn.initializers.normal(0.02), (t.shape[0], self.d))
        for i in range(self.nl):
            t = self.layer(t, i)
        t = nn.LayerNorm(name="lnf")(t)
        return nn.Dense(self.nc, name="out")(t[0])

    def layer(self, t, i):
        dh = self.d // self.nh
        y = nn.LayerNorm(name=f"l{i}_ln1")(t)
        qkv = nn.Dense(3 * self.d, name=f"l{i}_qkv")(y)
        q, k, v = [a.reshape(-1, self.nh, dh) for a in (qkv[:, :self.d], qkv[:, self.d:2 * self.d], qkv[:, 2 * self.d:])]
        s = jnp.einsum("qhd,khd->hqk", q, k) * jax.lax.rsqrt(float(dh))
        o = jnp.einsum("hqk,khd->qhd", jax.nn.softmax(s, axis=-1), v)
        t = t + nn.Dense(self.d, name=f"l{i}_o")(o.reshape(-1, self.d))
        y = nn.LayerNorm(name=f"l{i}_ln2")(t)
        return t + nn.Dense(self.d, name=f"l{i}_fc2")(jax.nn.gelu(nn.Dense(self.dff, name=f"l{i}_fc1")(y)))


Batched = nn.vmap(OneImage, variable_axes={"params": None}, split_rngs={"params": False}, in_axes=0, out_axes=0)


def vit_cls_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    net = Batched(patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    images = jnp.expand_dims(image, axis=0)
    variables = net.init(jax.random.key(seed), images)
    logits = net.apply(variables, images)
    return logits

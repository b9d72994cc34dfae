"""A zero buffer filled with .at[].set: CLS, patches, registers; separate modules for trunk and head, each with its own init."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Attention(nn.Module):
    heads: int

    @nn.compact
    def __call__(self, x):
        T, D = x.shape
        d = D // self.heads
        fused = self.param("fused", nn.initializers.lecun_normal(), (D, 3, D))
        fused_b = self.param("fused_b", nn.initializers.zeros, (3, D))
        q, k, v = (jnp.einsum("td,dce->cte", x, fused) + fused_b[:, None]).reshape(3, T, self.heads, d)
        s = jnp.einsum("thd,shd->hts", q / jnp.sqrt(d), k)
        e = jnp.exp(s - s.max(-1, keepdims=True))
        y = jnp.einsum("hts,shd->thd", e / e.sum(-1, keepdims=True), v).reshape(T, D)
        return nn.Dense(D, name="proj")(y)


class Trunk(nn.Module):
    patch: int
    width: int
    heads: int
    ff: int
    depth: int
    regs: int

    @nn.compact
    def __call__(self, image):
        p, D, R = self.patch, self.width, self.regs
        e = nn.Conv(D, (p, p), strides=(p, p), padding="VALID", name="conv")(image).reshape(-1, D)
        N = e.shape[0]
        tok = lambda name, *shape: self.param(name, nn.initializers.normal(0.02), shape)
        buf = jnp.zeros((1 + N + R, D))
        buf = buf.at[0].set(tok("cls", D))
        buf = buf.at[1:1 + N].set(e)
        buf = buf.at[:1 + N].add(tok("pos", 1 + N, D))
        buf = buf.at[1 + N:].set(tok("reg", R, D))
        for i in range(self.depth):
            buf = buf + Attention(self.heads, name=f"att{i}")(nn.LayerNorm(name=f"n1_{i}")(buf))
            h = nn.Dense(self.ff, name=f"up{i}")(nn.LayerNorm(name=f"n2_{i}")(buf))
            buf = buf + nn.Dense(D, name=f"dn{i}")(nn.gelu(h))
        return nn.LayerNorm(name="n")(buf)[:1 + N]


def vit_registers_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes):
    k_trunk, k_head = jax.random.split(jax.random.key(seed))
    trunk = Trunk(patch_size, d_model, num_heads, d_ff, num_layers, num_registers)
    head = nn.Dense(num_classes)
    x, _ = trunk.init_with_output(k_trunk, image)
    logits, _ = head.init_with_output(k_head, x[0])
    return logits, x[1:]

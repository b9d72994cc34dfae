"""Pooling with jax.vmap over the head axis and jnp.average(weights=...); ViT as raw weights in one module."""
import jax
import jax.numpy as jnp
import flax.linen as nn


def extra_head_pool(tokens, num_heads, temperature=1.0):
    by_head = jnp.stack(jnp.split(tokens, num_heads, axis=-1))           # (H, N, d+1)
    scores = jax.vmap(lambda t: t[:, -1])(by_head).mean(0)
    probs = jax.nn.softmax(jnp.true_divide(scores, temperature))
    pooled = jax.vmap(lambda t: jnp.average(t[:, :-1], axis=0, weights=probs))(by_head)
    return pooled.ravel(), probs


class RawEncoder(nn.Module):
    P: int
    W: int
    H: int
    F: int
    L: int

    @nn.compact
    def __call__(self, img):
        P, W, H, F = self.P, self.W, self.H, self.F
        w = lambda name, *s: self.param(name, nn.initializers.lecun_normal(), s)
        z = lambda name, *s: self.param(name, nn.initializers.zeros, s)
        o = lambda name, *s: self.param(name, nn.initializers.ones, s)

        def ln(name, x):
            mu, var = jnp.mean(x, -1, keepdims=True), jnp.var(x, -1, keepdims=True)
            return (x - mu) * (var + 1e-6) ** -0.5 * o(name + "g", W) + z(name + "b", W)

        rows = [img[i * P:(i + 1) * P] for i in range(img.shape[0] // P)]
        cells = [r[:, j * P:(j + 1) * P].transpose(2, 0, 1).ravel() for r in rows for j in range(img.shape[1] // P)]
        X = jnp.array(cells)                                             # (c, p, p) order
        x = X @ w("E", X.shape[1], W) + z("e", W)
        x = x + self.param("pos", nn.initializers.normal(0.02), (len(cells), W))
        for l in range(self.L):
            y = ln(f"{l}a", x)
            qkv = jnp.dot(y, w(f"{l}qkv", W, 3 * W)) + z(f"{l}qkvb", 3 * W)
            q, k, v = jnp.moveaxis(qkv.reshape(-1, 3, H, W // H), (1, 2), (0, 1))
            s = jnp.matmul(q, k.mT) * (W // H) ** -0.5
            y = jnp.matmul(jax.nn.softmax(s), v).transpose(1, 0, 2).reshape(-1, W)
            x = x + y @ w(f"{l}o", W, W) + z(f"{l}ob", W)
            y = jax.nn.gelu(ln(f"{l}b", x) @ w(f"{l}1", W, F) + z(f"{l}1b", F))
            x = x + y @ w(f"{l}2", F, W) + z(f"{l}2b", W)
        return x


def vit_extra_head_forward(seed, image, patch_size, output_dim, num_heads, d_ff, num_layers):
    enc = RawEncoder(patch_size, output_dim + num_heads, num_heads, d_ff, num_layers)
    p = jax.jit(enc.init)(jax.random.PRNGKey(seed), image)
    return extra_head_pool(jax.jit(enc.apply)(p, image), num_heads, 1.0)

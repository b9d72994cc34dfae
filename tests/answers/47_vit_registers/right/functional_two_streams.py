"""Plain functions and a parameter store module; registers live in a second array that is joined only for keys and values."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Store(nn.Module):
    """makes the parameters; everything else is in functions"""
    spec: tuple        # ((name, shape, kind), ...)

    @nn.compact
    def __call__(self):
        kinds = {
            "kernel": nn.initializers.lecun_normal(),
            "token": nn.initializers.normal(0.02),
            "zero": nn.initializers.zeros,
            "one": nn.initializers.ones,
        }
        return {name: self.param(name, kinds[kind], shape) for name, shape, kind in self.spec}


def make_spec(n, pix, D, F, L, R, K):
    s = [("embed.w", (pix, D), "kernel"), ("embed.b", (D,), "zero"), ("cls", (1, D), "token"),
         ("pos", (n + 1, D), "token"), ("reg", (R, D), "token"), ("norm.g", (D,), "one"), ("norm.b", (D,), "zero"),
         ("head.w", (D, K), "kernel"), ("head.b", (K,), "zero")]
    for i in range(L):
        for m in "qkvo":
            s += [(f"{i}.{m}.w", (D, D), "kernel"), (f"{i}.{m}.b", (D,), "zero")]
        s += [(f"{i}.n1.g", (D,), "one"), (f"{i}.n1.b", (D,), "zero"), (f"{i}.n2.g", (D,), "one"), (f"{i}.n2.b", (D,), "zero")]
        s += [(f"{i}.up.w", (D, F), "kernel"), (f"{i}.up.b", (F,), "zero"), (f"{i}.dn.w", (F, D), "kernel"), (f"{i}.dn.b", (D,), "zero")]
    return tuple(s)


def ln(P, name, x):
    x = x - x.mean(-1, keepdims=True)
    return x / jnp.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * P[name + ".g"] + P[name + ".b"]


def lin(P, name, x):
    return x @ P[name + ".w"] + P[name + ".b"]


def attend(P, i, queries, everything, H):
    """queries (A, D) look at everything (B, D)"""
    D = queries.shape[-1]
    q = lin(P, f"{i}.q", queries).reshape(-1, H, D // H)
    k = lin(P, f"{i}.k", everything).reshape(-1, H, D // H)
    v = lin(P, f"{i}.v", everything).reshape(-1, H, D // H)
    w = jax.nn.softmax(jnp.einsum("ahd,bhd->hab", q, k) / (D // H) ** 0.5, axis=-1)
    return lin(P, f"{i}.o", jnp.einsum("hab,bhd->ahd", w, v).reshape(-1, D))


def vit_registers_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_registers, num_classes):
    p = patch_size
    cells = [image[r:r + p, c:c + p].reshape(-1) for r in range(0, image.shape[0], p) for c in range(0, image.shape[1], p)]
    pixels = jnp.stack(cells)
    store = Store(make_spec(*pixels.shape, d_model, d_ff, num_layers, num_registers, num_classes))
    P = store.apply(store.init(jax.random.key(seed)))

    main = jnp.concatenate([P["cls"], lin(P, "embed", pixels)]) + P["pos"]
    regs = P["reg"]
    for i in range(num_layers):
        main_n, regs_n = ln(P, f"{i}.n1", main), ln(P, f"{i}.n1", regs)
        both = jnp.concatenate([main_n, regs_n])
        main, regs = main + attend(P, i, main_n, both, num_heads), regs + attend(P, i, regs_n, both, num_heads)
        main, regs = (s + lin(P, f"{i}.dn", nn.gelu(lin(P, f"{i}.up", ln(P, f"{i}.n2", s)))) for s in (main, regs))
    main = ln(P, "norm", main)
    return lin(P, "head", main[0]), main[1:]

"""A dict of modules, a dict of their parameters made in one loop over split keys, and a plain forward function."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Table(nn.Module):
    rows: int
    cols: int

    @nn.compact
    def __call__(self):
        return self.param("rows", nn.initializers.normal(0.02), (self.rows, self.cols))


def build(n, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    hd = (num_heads, d_model // num_heads)
    modules = {
        "head": (nn.Dense(num_classes), (d_model,)),
        "norm": (nn.LayerNorm(), (n, d_model)),
        "pos": (Table(n, d_model), None),
        "embed": (nn.Dense(d_model), None),
    }
    for i in range(num_layers):
        modules[f"{i}.q"] = (nn.DenseGeneral(hd), (n, d_model))
        modules[f"{i}.k"] = (nn.DenseGeneral(hd), (n, d_model))
        modules[f"{i}.v"] = (nn.DenseGeneral(hd), (n, d_model))
        modules[f"{i}.o"] = (nn.DenseGeneral(d_model, axis=(-2, -1)), (n,) + hd)
        modules[f"{i}.n1"] = (nn.LayerNorm(), (n, d_model))
        modules[f"{i}.n2"] = (nn.LayerNorm(), (n, d_model))
        modules[f"{i}.up"] = (nn.Dense(d_ff), (n, d_model))
        modules[f"{i}.down"] = (nn.Dense(d_model), (n, d_ff))
    return modules


def vit_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    H, W, C = image.shape
    gh, gw = H // patch_size, W // patch_size
    n = gh * gw
    pixels = image.reshape(gh, patch_size, gw, patch_size, C).swapaxes(1, 2).reshape(n, -1)
    modules = build(n, patch_size, d_model, num_heads, d_ff, num_layers, num_classes)
    keys = jax.random.split(jax.random.key(seed), len(modules))
    params = {}
    for k, (name, (module, shape)) in zip(keys, modules.items()):
        if name == "pos":
            params[name] = module.init(k)
        elif name == "embed":
            params[name] = module.init(k, pixels)
        else:
            params[name] = module.init(k, jnp.zeros(shape))

    def call(name, *args):
        return modules[name][0].apply(params[name], *args)

    x = call("embed", pixels) + call("pos")
    for i in range(num_layers):
        y = call(f"{i}.n1", x)
        q, k, v = call(f"{i}.q", y), call(f"{i}.k", y), call(f"{i}.v", y)
        w = jax.nn.softmax(jnp.einsum("ihe,jhe->hij", q, k) / jnp.sqrt(q.shape[-1]), axis=2)
        x = x + call(f"{i}.o", jnp.einsum("hij,jhe->ihe", w, v))
        x = x + call(f"{i}.down", nn.gelu(call(f"{i}.up", call(f"{i}.n2", x))))
    return call("head", call("norm", x).mean(axis=0))

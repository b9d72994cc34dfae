"""The whole model is one nn.Sequential of small modules and lambdas; jax.jit around the contract function; erf GELU, eps 1e-5."""
from functools import partial
import jax
import jax.numpy as jnp
import flax.linen as nn


class Positions(nn.Module):
    @nn.compact
    def __call__(self, x):
        return x + self.param("table", nn.initializers.normal(0.02), x.shape)


class Skip(nn.Module):
    layers: tuple

    @nn.compact
    def __call__(self, x):
        y = nn.LayerNorm(epsilon=1e-5)(x)
        for f in self.layers:
            y = f(y)
        return x + y


def erf_gelu(x):
    return x * 0.5 * (1.0 + jax.lax.erf(x / jnp.sqrt(2.0)))


@partial(jax.jit, static_argnames=("patch_size", "d_model", "num_heads", "d_ff", "num_layers", "num_classes"))
def vit_forward(seed, image, patch_size, d_model, num_heads, d_ff, num_layers, num_classes):
    steps = [
        nn.Conv(d_model, (patch_size, patch_size), strides=(patch_size, patch_size), padding="VALID"),
        lambda g: g.reshape(-1, d_model),
        Positions(),
    ]
    for _ in range(num_layers):
        steps.append(Skip((nn.MultiHeadDotProductAttention(num_heads),)))
        steps.append(Skip((nn.Dense(d_ff), erf_gelu, nn.Dense(d_model))))
    steps += [nn.LayerNorm(epsilon=1e-5), lambda t: t.mean(axis=0), nn.Dense(num_classes)]
    model = nn.Sequential(steps)
    params = model.init(jax.random.key(seed), image)
    return model.apply(params, image)

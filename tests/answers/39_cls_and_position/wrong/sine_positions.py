"""Fixed sine and cosine positions, nothing learned."""
import jax
import jax.numpy as jnp
import flax.linen as nn


def sinusoids(length, d):
    position = jnp.arange(length)[:, None]
    i = jnp.arange(d)[None, :]
    angle = position / 10000 ** (2 * (i // 2) / d)
    return jnp.where(i % 2 == 0, jnp.sin(angle), jnp.cos(angle))


class Cls(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        cls = self.param("cls", nn.initializers.normal(0.02), (1, tokens.shape[-1]))
        x = jnp.concatenate([cls, tokens])
        return x + sinusoids(*x.shape)


def cls_and_position_forward(seed, tokens):
    c = Cls()
    return c.apply(c.init(jax.random.PRNGKey(seed), tokens), tokens)

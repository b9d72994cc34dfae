"""CLS and positions are drawn from normal(1), joined, multiplied by 0.02 and cut apart."""
import flax.linen as nn
import jax
import jax.numpy as jnp


class Cls(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        n, d = tokens.shape
        i = nn.initializers.normal(1.0)
        both = 0.02 * jnp.concatenate([self.param("c", i, (1, d)), self.param("p", i, (n + 1, d))])
        return jnp.concatenate([both[:1], tokens]) + both[1:]


def cls_and_position_forward(seed, tokens):
    m = Cls()
    return m.apply(m.init(jax.random.key(seed), tokens), tokens)

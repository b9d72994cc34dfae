# Token and table are drawn as normal(1) and scaled down where they are used.
import jax, jax.numpy as jnp
import flax.linen as nn
class P(nn.Module):
    @nn.compact
    def __call__(self, t):
        N, D = t.shape
        cls = 0.02 * self.param("cls", nn.initializers.normal(1.0), (1, D))
        pos = self.param("pos", nn.initializers.normal(1.0), (N + 1, D)) * 0.02
        return jnp.concatenate([cls, t]) + pos
def cls_and_position_forward(seed, tokens):
    m = P(); return m.apply(m.init(jax.random.key(seed), tokens), tokens)

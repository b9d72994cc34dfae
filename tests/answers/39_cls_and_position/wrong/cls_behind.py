"""CLS is concatenated behind the tokens."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class AddClsAndPosition(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        n, d = tokens.shape
        cls = self.param("cls", nn.initializers.normal(0.02), (1, d))
        pos = self.param("pos", nn.initializers.normal(0.02), (n + 1, d))
        x = jnp.concatenate([tokens, cls], axis=0)
        return x + pos


def cls_and_position_forward(seed, tokens):
    module = AddClsAndPosition()
    params = module.init(jax.random.key(seed), tokens)
    return module.apply(params, tokens)

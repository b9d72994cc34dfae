"""The MLP.

Each token is widened, bent and narrowed again.
"""

import flax.linen as nn
import jax
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float


class MLP(nn.Module):
    hidden: int

    @nn.compact
    def __call__(self, tokens: Float[Array, "N D"]) -> Float[Array, "N D"]:
        h = checkpoint_name(nn.Dense(self.hidden, name="up")(tokens), "up")
        h = checkpoint_name(nn.gelu(h), "gelu")
        return nn.Dense(tokens.shape[-1], name="down")(h)


def mlp_forward(seed: int, tokens: Float[Array, "N D"], hidden: int) -> Float[Array, "N D"]:
    model = MLP(hidden)
    params = model.init(jax.random.key(seed), tokens)
    return model.apply(params, tokens)

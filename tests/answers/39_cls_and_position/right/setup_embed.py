"""setup; positions from nn.Embed created before a CLS vector of shape (D,); rows put together with jnp.vstack."""
import jax
import jax.numpy as jnp
from flax import linen as nn


class Prefix(nn.Module):
    n: int
    d: int

    def setup(self):
        init = nn.initializers.normal(stddev=0.02)
        self.position = nn.Embed(num_embeddings=self.n + 1, features=self.d, embedding_init=init)
        self.cls = self.param("cls", init, (self.d,))

    def __call__(self, tokens):
        ids = jnp.arange(self.n + 1)
        return jnp.vstack((self.cls, tokens)) + self.position(ids)


def cls_and_position_forward(seed: int, tokens: jax.Array) -> jax.Array:
    out, _ = Prefix(*tokens.shape).init_with_output(jax.random.PRNGKey(seed), tokens)
    return out

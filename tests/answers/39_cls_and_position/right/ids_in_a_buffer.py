import flax.linen as nn
import jax
import jax.numpy as jnp


class Embeddings(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        count, width = tokens.shape
        small = nn.initializers.normal(0.02)
        ids = self.variable("buffers", "position_ids", jnp.arange, count + 1)
        cls = self.param("cls_token", small, (1, 1, width))
        positions = nn.Embed(count + 1, width, embedding_init=small, name="position_embeddings")
        return jnp.concatenate([cls[0], tokens]) + positions(ids.value)


def cls_and_position_forward(seed, tokens):
    model = Embeddings()
    return model.apply(model.init(jax.random.key(seed), tokens), tokens)

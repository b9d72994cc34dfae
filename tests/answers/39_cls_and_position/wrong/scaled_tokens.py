"""Multiplies the tokens by sqrt(D) first, as for word embeddings."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class InputLayer(nn.Module):
    dropout: float = 0.1

    @nn.compact
    def __call__(self, x, train: bool):
        B, N, D = x.shape
        cls_token = self.param("cls_token", nn.initializers.zeros, (1, 1, D))
        cls_tokens = jnp.broadcast_to(cls_token, (B, 1, D))
        x = jnp.concatenate([cls_tokens, x], axis=1)
        x = x + self.param("pos_embed", nn.initializers.normal(0.02), (1, N + 1, D))
        return nn.Dropout(self.dropout, deterministic=not train)(x)


def cls_and_position_forward(seed, tokens):
    emb = InputLayer()
    x = tokens[None] * jnp.sqrt(tokens.shape[-1])
    v = emb.init(jax.random.key(seed), x, train=False)
    y = emb.apply(v, x, train=False)
    return jnp.squeeze(y, axis=0)

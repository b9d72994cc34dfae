"""Two tiny modules, each with its own init from a split key; plain functions; jnp.insert."""
import jax
import jax.numpy as jnp
import flax.linen as nn


class Row(nn.Module):
    width: int

    @nn.compact
    def __call__(self):
        return self.param("row", nn.initializers.normal(0.02), (1, self.width))


class Table(nn.Module):
    @nn.compact
    def __call__(self, x):
        return x + self.param("table", nn.initializers.normal(0.02), x.shape)


def cls_and_position_forward(seed, tokens):
    key1, key2 = jax.random.split(jax.random.PRNGKey(seed))
    row_module = Row(tokens.shape[-1])
    row = row_module.apply(row_module.init(key1))
    sequence = jnp.insert(tokens, 0, row[0], axis=0)
    print("sequence with cls:", sequence.shape)
    table_module = Table()
    return table_module.apply(table_module.init(key2, sequence), sequence)

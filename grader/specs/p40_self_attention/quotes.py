"""Lines of the reference that mistakes change."""

from __future__ import annotations

HEADS = "heads = (self.num_heads, head_dim)"
QUERY = 'nn.DenseGeneral(heads, name="query")(x)'
KEY = 'nn.DenseGeneral(heads, name="key")(x)'
VALUE = 'nn.DenseGeneral(heads, name="value")(x)'
SCORES = 'jnp.einsum("qhd,khd->hqk", query, key) / head_dim**0.5'
SOFTMAX = "nn.softmax(scores, axis=-1)"
MIX = 'jnp.einsum("hqk,khd->qhd", weights, value)'
OUT = 'nn.DenseGeneral(d_model, axis=(-2, -1), name="out")(mixed)'
CUT_WITHOUT_MOVING = ".reshape(self.num_heads, -1, head_dim).swapaxes(0, 1)"

"""Lines of the reference that mistakes change."""

from __future__ import annotations

NORM_1 = 'y = nn.LayerNorm(name="norm_1")(x)'
ATTEND = 'y = SelfAttention(self.num_heads, name="attention")(y)'
TWO_INPUTS = 'nn.MultiHeadDotProductAttention(self.num_heads, name="attention")'
ADD_1 = 'x = checkpoint_name(x + y, "attention_added")'
NORM_2 = 'y = nn.LayerNorm(name="norm_2")(x)'
MLP_IN = 'y = nn.Dense(self.d_ff, name="mlp_in")(y)'
GELU = "y = nn.gelu(y)"
MLP_OUT = 'y = nn.Dense(x.shape[-1], name="mlp_out")(y)'
ADD_2 = 'checkpoint_name(x + y, "mlp_added")'
LINE = "\n        "

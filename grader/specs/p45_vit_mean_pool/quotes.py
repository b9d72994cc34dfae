"""Lines of the reference that mistakes change."""

from __future__ import annotations

TABLE = 'positions = self.param("positions", nn.initializers.normal(0.02), x.shape)'
ADD = 'checkpoint_name(x + positions, "positions")'
LOOP = "for i in range(self.num_layers):"
BLOCK = 'x = EncoderBlock(self.num_heads, self.d_ff, name=f"block_{i}")(x)'
BLOCK_0 = 'EncoderBlock(self.num_heads, self.d_ff, name="block_0")'
NORM = 'checkpoint_name(nn.LayerNorm(name="final_norm")(x), "final_norm")'
MEAN = 'checkpoint_name(x.mean(axis=0), "mean")'
HEAD = 'nn.Dense(self.num_classes, name="head")(x)'

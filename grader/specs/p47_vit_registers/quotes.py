"""Lines of the reference that mistakes change."""

from __future__ import annotations

TABLE = 'positions = self.param("positions", nn.initializers.normal(0.02), x.shape)'
ADD = 'x = checkpoint_name(x + positions, "positions")'
IF_ANY = "if self.num_registers > 0:"
SHAPE = "shape = (self.num_registers, self.d_model)"
REGISTERS = 'registers = self.param("registers", nn.initializers.normal(0.02), shape)'
ENTER = "x = jnp.concatenate([x, registers], axis=0)"
ENTERED = 'x = checkpoint_name(x, "registers")'
NORM = 'x = checkpoint_name(nn.LayerNorm(name="final_norm")(x), "final_norm")'
ROW_0 = 'checkpoint_name(x[0], "row_0")'
TOKENS = 'checkpoint_name(x[1 : num_patches + 1], "patch_tokens")'
RESULT = 'return nn.Dense(self.num_classes, name="head")(row_0), patch_tokens'

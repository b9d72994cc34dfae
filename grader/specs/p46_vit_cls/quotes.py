"""Lines of the reference that mistakes change."""

from __future__ import annotations

CLS = 'cls = self.param("cls", nn.initializers.normal(0.02), (1, self.d_model))'
JOIN = 'checkpoint_name(jnp.concatenate([cls, x], axis=0), "cls")'
TABLE = 'positions = self.param("positions", nn.initializers.normal(0.02), x.shape)'
ADD = 'checkpoint_name(x + positions, "positions")'
ROW_0 = 'checkpoint_name(x[0], "row_0")'
HEAD = 'nn.Dense(self.num_classes, name="head")(x)'

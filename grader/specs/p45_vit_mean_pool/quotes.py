"""Lines of the reference that mistakes change."""

from __future__ import annotations

TABLE = 'positions = self.param("positions", nn.initializers.normal(0.02), x.shape)'
ADD = 'checkpoint_name(x + positions, "positions")'
MEAN = 'checkpoint_name(x.mean(axis=0), "mean")'
HEAD = 'nn.Dense(self.num_classes, name="head")(x)'

"""What float32 cannot hold becomes infinite here too, although values are held in float64.

Only results that grow fast are looked at: exponentials, powers and products.  A sum that leaves
the range starts from values that are hardly inside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grader.engine.rules.rule import Compute, Rule

_BEYOND = 2.0**128 - 2.0**103
"""From here on float32 rounds to infinity: its largest number is half a step below."""


def limited(rule: Rule) -> Rule:
    """The rule with results that are infinite where they would be so in float32."""

    def limited_rule(eqn: Any) -> Compute | None:
        compute = rule(eqn)
        if compute is None or eqn.outvars[0].aval.dtype != np.float32:
            return compute
        return lambda *values: _infinite_beyond(np.asarray(compute(*values)))

    return limited_rule


def _infinite_beyond(values: np.ndarray) -> np.ndarray:
    if values.size and values.min() > -_BEYOND and values.max() < _BEYOND:
        return values
    too_large = np.abs(values) >= _BEYOND  # not where a value is NaN
    return np.where(too_large, np.copysign(np.inf, values), values)

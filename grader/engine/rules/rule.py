"""What a rule is: a factory from an equation to a NumPy function of its inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Compute = Callable[..., Any]
"""Held inputs to one held output, or to a list of them when the primitive has several."""

Rule = Callable[[Any], Compute | None]
"""Everything static about an equation is worked out once, when its rule is called.

None means that the rule does not cover this form of the primitive.
"""


def always(compute: Compute) -> Rule:
    """The rule that uses one function whatever the parameters are."""
    return lambda eqn: compute

"""NumPy rules for JAX primitives, by primitive name."""

from __future__ import annotations

from grader.engine.rules import (
    arithmetic,
    bits,
    convolution,
    indexing,
    linear,
    ordering,
    randomness,
    reductions,
    shape,
    transcendental,
    windows,
)
from grader.engine.rules.rule import Compute, Rule

RULES: dict[str, Rule] = {
    **arithmetic.RULES,
    **transcendental.RULES,
    **bits.RULES,
    **shape.RULES,
    **reductions.RULES,
    **windows.RULES,
    **ordering.RULES,
    **indexing.RULES,
    **linear.RULES,
    **convolution.RULES,
    **randomness.RULES,
}
"""The rule of every primitive that is evaluated in NumPy."""

__all__ = ["RULES", "Compute", "Rule"]

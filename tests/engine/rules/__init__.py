"""The examples on which every NumPy rule is run, by kind of primitive; see `test_rules`."""

from tests.engine.rules import (
    elementwise,
    indexing,
    linear,
    random_numbers,
    reductions,
    shapes,
)
from tests.engine.rules.cases import CASES, Drawn

__all__ = [
    "CASES",
    "Drawn",
    "elementwise",
    "indexing",
    "linear",
    "random_numbers",
    "reductions",
    "shapes",
]

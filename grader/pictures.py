"""What there is to draw about a verdict.  Plain data, like the verdict itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Rows = list[list[float]]
"""A matrix as plain lists, so that it travels as JSON."""


@dataclass(frozen=True)
class Result:
    """One result on one case: what was expected, what came (None: nothing comparable).

    Attributes:
      label: the name of the result.
      shape: its shape; the matrices have at most 64 rows and columns of it.
      expected, actual: as matrices: a vector is one row, leading axes are stacked.
      actual_shape: the shape of what came.

    """

    label: str
    shape: tuple[int, ...]
    expected: Rows
    actual: Rows | None
    actual_shape: tuple[int, ...] | None


@dataclass(frozen=True)
class AttentionMap:
    """One head's weights: row i says how much token i takes from each token."""

    expected: Rows
    actual: Rows | None


@dataclass(frozen=True)
class Attention:
    """Attention of a submission beside the reference's, on one input.

    Attributes:
      input: a word for the input, with its shape.
      image: the image (H, W, C) as lists of numbers from 0 to 1, where the input is one.
      grid: rows and columns of patches, where token 0 stands before exactly those.
      maps: the heads in the order of the computation.
      message: why there is none of the submission, where there is none.

    """

    input: str
    image: list[Any] | None
    grid: tuple[int, int] | None
    maps: tuple[AttentionMap, ...]
    message: str = ""


@dataclass(frozen=True)
class Pictures:
    """Everything there is to draw about one verdict.

    Attributes:
      results: the smallest failing case.
      stages: titles of the stages that a case goes through.
      attention: on one input, where the problem has any.

    """

    results: tuple[Result, ...] = ()
    stages: tuple[str, ...] = ()
    attention: Attention | None = None

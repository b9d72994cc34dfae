"""What a page shows beside the words: results as arrays, and attention on one image."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from grader.engine.judge import Order
from grader.engine.one_case import CaseView, view_case
from grader.pictures import Attention, AttentionMap, Pictures, Result, Rows
from grader.problem import Problem
from grader.verdict import Verdict

_MOST = 64
_ONE = 1e-6


def illustrate(order: Order, verdict: Verdict) -> Pictures:
    """Run the smallest failing case and a portrait case again, keeping the arrays.

    Never raises for anything that the submission does.
    """
    results: tuple[Result, ...] = ()
    with contextlib.suppress(Exception):  # a child may answer anything; then there is no picture
        if verdict.counterexample is not None:
            results = tuple(_results(view_case(order, verdict.counterexample.case)))
    attention: Attention | None = None
    stages: tuple[str, ...] = ()
    with contextlib.suppress(Exception):  # a child may answer anything; then there is no picture
        case = _portrait_case(order.problem)
        if case is not None and _ran(verdict):
            view = view_case(order, case, draw_image=_portrait)
            attention = _attention(view, case, verdict.passed)
            stages = tuple(stage.title for stage in view.stages)
    return Pictures(results, stages, attention)


def _ran(verdict: Verdict) -> bool:
    return any(c.status == "passed" and c.id.endswith("parameters") for c in verdict.checks)


def _results(view: CaseView) -> Iterator[Result]:
    for label, expected, actual in view.outputs:
        yield Result(
            label,
            expected.shape,
            as_rows(expected),
            None if actual is None else as_rows(actual),
            None if actual is None else actual.shape,
        )


def as_rows(value: np.ndarray) -> Rows:
    """An array as a matrix of at most 64 × 64."""
    table = np.asarray(value, np.float64)
    table = table.reshape(-1, table.shape[-1]) if table.ndim else table.reshape(1, 1)
    rows: Rows = table[:_MOST, :_MOST].tolist()
    return rows


# --- attention -----------------------------------------------------------------------------


_PORTRAIT_SIZES = {
    "grid_h": 5,
    "grid_w": 6,
    "patch_size": 4,
    "channels": 3,
    "tokens": 12,
    "num_tokens": 12,
}


def _portrait_case(problem: Problem) -> dict[str, Any] | None:
    """A case to look at: a grid (or sequence) worth seeing, everything else as small as may be."""
    choices = {
        name: [_PORTRAIT_SIZES[name]] if name in _PORTRAIT_SIZES else list(values)
        for name, values in problem.fields.items()
    }
    contracts = [c for c in problem.contracts if "num_heads" in c.arguments] or problem.contracts
    for values in itertools.islice(itertools.product(*choices.values()), 2000):
        fields = dict(zip(choices, values, strict=True))
        if problem.tells(problem.derive(fields)):
            return {**fields, "seed": 0, "function": contracts[-1].function}
    return None


def _portrait(shape: tuple[int, ...]) -> np.ndarray:
    """A disc on a slope, (H, W, C) from 0 to 1: something that one can recognise."""
    height, width, channels = shape
    y, x = np.mgrid[0:height, 0:width] + 0.5
    y, x = y / height, x / width
    disc = (((x - 0.62) * width) ** 2 + ((y - 0.4) * height) ** 2) < (0.27 * min(shape[:2])) ** 2
    layers = [np.where(disc, 0.95, 0.25 * x), np.where(disc, 0.75, 0.5 * y), 0.35 + 0.3 * (1 - y)]
    return np.stack([layers[c % 3] for c in range(channels)], axis=-1)


def _attention(view: CaseView, case: dict[str, Any], right: bool) -> Attention | None:
    name, value = next(iter(view.inputs.items()))
    expected = attention_weights(view.reference_values)
    if not expected:
        return None
    theirs = attention_weights(view.submission_values)
    if right:  # some right answers write keys before queries
        theirs = [_turned(came, ours) for came, ours in zip(theirs, expected, strict=False)]
    message = view.message
    if not message and not theirs:
        message = "no softmax over the tokens came up in this answer"
    pairs = itertools.zip_longest(expected, theirs[: len(expected)])
    maps = tuple(
        AttentionMap(as_rows(ours), None if came is None else as_rows(came)) for ours, came in pairs
    )
    image = value.tolist() if name == "image" and value.shape[-1] in (1, 2, 3, 4) else None
    shape = " × ".join(map(str, value.shape))
    grid = (case.get("grid_h", 0), case.get("grid_w", 0))
    has_cls = len(expected[0]) == grid[0] * grid[1] + 1
    return Attention(f"{name} ({shape})", image, grid if has_cls else None, maps, message)


def _turned(came: np.ndarray, ours: np.ndarray) -> np.ndarray:
    """Transposed where that makes the two equal."""
    same = came.shape == ours.shape and np.allclose(came.T, ours)
    return came.T if same else came


def attention_weights(values: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The (tokens, tokens) weights of every head among intermediate values, in order.

    Attention weights are known by what they are: not negative, square in two axes, and adding
    up to 1 along one of them.  The other axes are heads.
    """
    found: list[np.ndarray] = []
    for value in values:
        for matrix in _heads(np.squeeze(value)):
            if not any(_alike(matrix, known) for known in found):
                found.append(matrix)
    return found


def _heads(value: np.ndarray) -> list[np.ndarray]:
    if not 2 <= value.ndim <= 4 or value.size == 0 or not np.all(value >= 0):
        return []
    for first, second in itertools.combinations(range(value.ndim), 2):
        length = value.shape[first]
        if length < 2 or value.shape[second] != length:
            continue
        matrices = np.moveaxis(value, (first, second), (-2, -1)).reshape(-1, length, length)
        for axis in (-1, -2):
            if np.allclose(matrices.sum(axis=axis), 1.0, atol=_ONE) and not _trivial(matrices):
                return list(matrices)
    return []


def _trivial(matrices: np.ndarray) -> bool:
    """Whether these are only masks, permutations or averages, not something weighed."""
    return bool(np.ptp(matrices) < _ONE) or bool(np.isin(matrices, (0.0, 1.0)).all())


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and (np.allclose(one, other) or np.allclose(one, other.T))

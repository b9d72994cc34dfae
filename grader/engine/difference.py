"""Recognise how one array differs from another: a factor, an offset, an order, a softmax."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from grader.engine.compare import close, within

Array = np.ndarray
_NOTHING = 1e-6
_HARDLY = 1e-4
RIGHT_BUT_FOR_SHAPE = "right but for its shape"


def kind_of_difference(actual: Array, expected: Array) -> str:
    """How ``actual`` differs from ``expected``, in words; empty when nothing fits.

    The words complete a sentence: "the value is … ".  Arrays of equal size are compared in the
    shape of ``expected``; otherwise one must have a row more or less than the other.
    """
    if not np.isfinite(actual).all():
        return "not finite: NaN" if np.isnan(actual).any() else "not finite: an infinity"
    shape = actual.shape
    actual = _same_axes(actual, expected)
    if shape != expected.shape and actual.shape == expected.shape and _close(actual, expected):
        return f"{RIGHT_BUT_FOR_SHAPE} {shape}: {expected.shape} is expected"
    if np.any(actual) and _constant(actual, actual):
        return ""  # ones are the sum over any softmax, and a softmax over an axis of length 1
    if actual.size != expected.size:
        return _other_length(actual, expected)
    if expected.size < 2 or not np.isfinite(expected).all() or not np.any(expected):
        return ""
    if not np.any(actual):
        return "zero"
    ways = _ways if actual.shape == expected.shape else _other_orders
    return next(ways(actual, expected), "")


def is_definite(words: str) -> bool:
    """Whether the words say what was done, rather than only which part is right."""
    return bool(words) and not words.startswith(("right in", "made of"))


def _same_axes(actual: Array, expected: Array) -> Array:
    """``actual`` without axes of length 1, in the shape of ``expected`` where that is a reshape."""
    squeezed = actual.reshape([n for n in actual.shape if n != 1])
    target = expected.reshape([n for n in expected.shape if n != 1])
    return actual.reshape(expected.shape) if squeezed.shape == target.shape else squeezed


def _ways(actual: Array, expected: Array) -> Iterator[str]:
    share = float(np.abs(actual - expected).max() / np.abs(expected).max())
    if 0 < share < _HARDLY:  # too little to be seen to be the same everywhere
        yield f"the expected one but for {share:.0e} of it: a rounding, an epsilon, or as little"
        return
    factor = _constant_ratio(actual, expected)
    if factor is not None:
        yield f"the expected one times {factor:.4g}"
    gap = actual - expected
    if _constant(gap, expected):
        yield f"the expected one plus {gap.flat[0]:.4g} everywhere"
    yield from _some_rows_times(actual, expected)
    yield from _along_an_axis(actual, expected, gap)
    yield from _softmaxed(actual, expected)
    yield from _other_orders(actual, expected)
    yield from _in_part(actual, expected)


def _constant_ratio(actual: Array, expected: Array) -> float | None:
    """The factor between two arrays, if there is one for all elements."""
    factor = float(np.vdot(expected, actual) / np.vdot(expected, expected))
    several = np.count_nonzero(expected) > 1  # of one number alone, any is a multiple
    telling = several and abs(factor) > _NOTHING and f"{factor:.4g}" != "1"
    return factor if telling and _close(actual, factor * expected) else None


def _constant(values: Array, scale: Array) -> bool:
    return within(values - values.flat[0], scale)


def _some_rows_times(actual: Array, expected: Array) -> Iterator[str]:
    """Right in some rows, zero or another multiple in all others."""
    if expected.ndim != 2 or min(expected.shape) < 2:
        return
    right, wrong = _right_and_wrong(actual, expected)
    if not right or not wrong or not np.any(expected[wrong]):
        return
    if not np.any(actual[wrong]):
        yield f"zero in {_rows(wrong)}; the other rows are right"
        return
    factor = _constant_ratio(actual[wrong], expected[wrong])
    if factor is not None:
        yield f"the expected one times {factor:.4g} in {_rows(wrong)}; the other rows are right"


def _along_an_axis(actual: Array, expected: Array, gap: Array) -> Iterator[str]:
    """One factor or offset for each row, or for each feature."""
    if expected.ndim != 2 or min(expected.shape) < 2:
        return
    for axis, each, every in ((0, "feature", "row"), (1, "row", "feature")):
        if within(gap - gap.mean(axis=axis, keepdims=True), expected):
            yield f"the expected one plus a number for each {each}, the same in every {every}"
        square = (expected**2).sum(axis=axis, keepdims=True)
        if (square > 0).all():
            factors = (expected * actual).sum(axis=axis, keepdims=True) / square
            if _close(actual, factors * expected):
                yield f"the expected one times a number for each {each}, the same in every {every}"
        centred = expected - expected.mean(axis=axis, keepdims=True)
        ours = actual - actual.mean(axis=axis, keepdims=True)
        if expected.shape[axis] > 2 and np.any(centred):
            factor = _constant_ratio(ours, centred)
            if factor is not None:
                yield (
                    f"the expected one times {factor:.4g}, plus a number for each {each} "
                    f"that is the same in every {every}"
                )


def _softmaxed(actual: Array, expected: Array) -> Iterator[str]:
    for axis in range(expected.ndim):
        along = "" if expected.ndim == 1 else f" along axis {axis}"
        if _close(actual, softmax(expected, axis)) and not _is_one_hot(actual):
            yield f"the expected one softmaxed{along}"
        if _close(softmax(actual, axis), expected) and not _is_one_hot(expected):
            yield f"the expected one before its softmax{along}"
    if (expected > 0).all() and _close(actual, np.log(expected)):
        yield "the logarithm of the expected one"


def _is_one_hot(values: Array) -> bool:
    """Whether these are zeros and ones: of large numbers any softmax is, and much else."""
    return bool((np.minimum(np.abs(values), np.abs(values - 1)) < _NOTHING).all())


def softmax(values: Array, axis: int) -> Array:
    """Softmax along an axis."""
    raised = np.exp(values - values.max(axis=axis, keepdims=True))
    return np.asarray(raised / raised.sum(axis=axis, keepdims=True))


def _other_orders(actual: Array, expected: Array) -> Iterator[str]:
    """The same numbers at other places."""
    if actual.shape != expected.shape and _close(actual.reshape(expected.shape), expected):
        # Other words than above, after which no known mistake is looked for: a grid is one.
        yield f"right, in the shape {actual.shape}: {expected.shape} is expected"
    if not _close(np.sort(actual, axis=None), np.sort(expected, axis=None)):
        return
    if expected.ndim == 2:
        if actual.shape == expected.shape[::-1] and _close(actual.T, expected):
            yield "transposed"
        if actual.shape == expected.shape:
            if _close(expected.T.reshape(expected.shape), actual):
                yield "transposed, then reshaped (a reshape does not move the axes)"
            if _close(actual.reshape(expected.shape[::-1]).T, expected):
                yield "the expected one's transpose, reshaped (a reshape does not move the axes)"
            yield from _moved(actual, expected)
    yield "made of the right numbers in another order"


def _moved(actual: Array, expected: Array) -> Iterator[str]:
    """Rows or features of a matrix at other places."""
    for axis, name in ((0, "rows"), (1, "features")):
        count = expected.shape[axis]
        for step in (1, -1):
            if count > 2 and _close(np.roll(expected, step, axis), actual):
                yield f"off by one: its {name} are all one further {'down' if step > 0 else 'up'}"
        if count > 1 and _close(np.flip(expected, axis), actual):
            yield f"reversed: its {name} stand in the opposite order"
        if _close(_sorted(actual, axis), _sorted(expected, axis)):
            yield f"permuted: it has the right {name} in another order"


def _sorted(table: Array, axis: int) -> Array:
    """The rows (axis 0) or columns (axis 1) in the order of their first distinct entries."""
    across = table if axis == 0 else table.T
    return across[np.lexsort(across.round(9).T[::-1])]


def _in_part(actual: Array, expected: Array) -> Iterator[str]:
    """Right in some rows."""
    if expected.ndim != 2 or len(expected) < 2:
        return
    right, wrong = _right_and_wrong(actual, expected)
    if not right:
        shifted = [i for i in range(1, len(expected)) if _same_row(actual[i], expected[i - 1])]
        if len(shifted) == len(expected) - 1 > 1:
            yield "off by one: each row is the one before it"
        return
    yield f"right in {_rows(right)}, wrong in {_rows(wrong)}"


def _right_and_wrong(actual: Array, expected: Array) -> tuple[list[int], list[int]]:
    """The rows that are right, and the others."""
    rows = range(len(expected))
    right = [i for i in rows if within(actual[i] - expected[i], expected)]
    return right, [i for i in rows if i not in right]


def _same_row(one: Array, other: Array) -> bool:
    return within(one - other, other)


def _rows(rows: list[int]) -> str:
    if len(rows) == 1:
        return f"row {rows[0]}"
    if len(rows) == 2:
        return f"rows {rows[0]} and {rows[1]}"
    if rows == list(range(rows[0], rows[-1] + 1)):
        return f"rows {rows[0]} to {rows[-1]}"
    return "rows " + ", ".join(map(str, rows[:6])) + (" …" if len(rows) > 6 else "")


def _other_length(actual: Array, expected: Array) -> str:
    """A matrix with rows too many or too few, a mean or a sum, or several copies."""
    if expected.ndim == 2 and actual.ndim == 2 and actual.shape[1] == expected.shape[1]:
        longer, shorter = (actual, expected) if len(actual) > len(expected) else (expected, actual)
        count = len(longer) - len(shorter)
        places: list[tuple[str, Callable[[], Array]]] = [
            ("at the end", lambda: longer[: len(shorter)]),
            ("at the start", lambda: longer[count:]),
            ("after the first", lambda: np.concatenate([longer[:1], longer[1 + count :]])),
        ]
        for where, part in places:
            if len(shorter) and _close(part(), shorter):
                what = f"{count} row{'s' * (count > 1)} too {'many' if longer is actual else 'few'}"
                return f"the expected one with {what} {where}"
    if actual.size < expected.size and expected.ndim:
        for axis in range(expected.ndim):
            for name, reduce in (("mean", np.mean), ("sum", np.sum), ("maximum", np.max)):
                reduced = reduce(expected, axis=axis)
                if reduced.shape == actual.shape and _close(actual, reduced):
                    return f"the {name} of the expected one along axis {axis}"
    return ""


def _close(actual: Array, expected: Array) -> bool:
    with np.errstate(all="ignore"):
        return close(np.asarray(actual), np.asarray(expected), 1e-6)

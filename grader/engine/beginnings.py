"""How parameters start: tokens and tables as normal(0.02), none as a copy of another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from grader.engine.cases import draw_arrays
from grader.engine.findings import Trial
from grader.engine.layout import Leaf
from grader.engine.own_factors import TABLE_STD
from grader.engine.remote_trace import RemoteTrace
from grader.engine.slots import Slot

if TYPE_CHECKING:
    from grader.engine.contract_judge import ContractJudge

_MOST_OFF = 1.5
"""By what factor the standard deviation may differ: what cuts off the tails changes it."""
_OTHER_KEYS = 24
"""Beside two that are looked at anyway: a small table holds too few numbers."""
_FEW = 100
"""Where fewer different numbers are drawn, their spread says little."""
_MOSTLY = 0.9
"""Drawn numbers are all different, but for a few where the tails are cut off."""

_UNIFORM = 1.8
"""How many standard deviations a uniform distribution reaches: the root of 3, and a little more."""

_CUT_OFF = 2.3
"""Beyond so many standard deviations is nothing of a normal distribution that is cut off at two (of
its own, before); of one that is not, 2 % are."""
_MANY = 800
"""Of so many numbers none is out there once in ten millions."""

_FAR = 6
"""How many standard deviations of the mean it may be from 0."""

_NEVER = -20.0
"""The logarithm of a probability."""


def check_initial(judge: ContractJudge, first: list[np.ndarray], other: list[np.ndarray]) -> None:
    """Whether tokens and tables start as those of the reference do, for two seeds."""
    trial = judge.findings.trials[judge.ample]
    if trial.matched is None or not tables(judge):
        return
    wrong, odd = [], []
    for leaf, slots in trial.matched.pieces:
        if not all(slot.members[0] in tables(judge) for slot in slots):
            continue
        value = leaf.of(first)
        drawn = np.array([value, leaf.of(other)]) * trial.matched.factor(leaf)
        if drawn.any():
            drawn = np.array([*drawn, *_more(judge, trial, leaf)])
            drawn = np.unique(drawn, axis=0)  # what every key gives alike was drawn once
        if leaf.kind == "zeros" or not drawn.any():
            fault, remark = _of_zeros(slots), "zeros"
        else:
            fault, remark = _of_numbers(leaf, value, drawn)
        if fault:
            wrong.append(f"'{leaf.path}' starts {fault}")
        elif remark:
            odd.append(f"'{leaf.path}' starts with {remark}; the text asks for normal({TABLE_STD})")
    judge.findings.remarks += odd
    if wrong:
        judge.fail("initial", "; ".join(wrong) + f"; the text asks for normal({TABLE_STD})")
    else:
        judge.passed("initial", ", but for what is remarked" if odd else "")


def _of_zeros(slots: Sequence[Slot]) -> str:
    """What is wrong with a start of zeros, which a lone token may have."""
    if any(slot.role == "token" and slot.sizes[2] > 1 for slot in slots):
        return "with zeros: tokens that start equal stay equal"
    return "with zeros" if any(slot.role == "add" for slot in slots) else ""


def _of_numbers(leaf: Leaf, value: np.ndarray, drawn: np.ndarray) -> tuple[str, str]:
    """What is wrong with numbers that are drawn, or else what is odd about them.

    Args:
      leaf: the parameter; with ``nn.Embed``'s own default it is only odd.
      value: its start.
      drawn: its starts with several keys, as they are used.

    """
    spread, middle = float(np.std(drawn)), float(np.mean(drawn))
    most = _MOST_OFF if np.unique(drawn).size >= _FEW else 4
    deviation = f"a standard deviation of {spread:.2g}"
    default = leaf.shape[-1] ** -0.5  # Flax: variance_scaling(1.0, "fan_in", "normal", out_axis=0)
    embedded = leaf.path.rpartition("/")[2] == "embedding" and _near(spread, _MOST_OFF, default)
    if not spread:
        return f"with {middle:.2g} everywhere", ""
    if not embedded and not _near(spread, most):
        return f"with {deviation}", ""
    if np.unique(value[value != 0]).size < _MOSTLY * np.count_nonzero(value):
        return f"with {_again(value)}", ""
    if np.unique(abs(value[value != 0])).size < _MOSTLY * np.count_nonzero(value):
        return "with the same numbers again, the other sign before them", ""
    if not embedded and abs(middle) > _FAR * spread / drawn.size**0.5:
        return f"around {middle:.2g}, not around 0", ""
    if _is_sorted(drawn):
        return "with its numbers sorted", ""
    if drawn.size >= 2 * _FEW and _is_bounded(drawn):
        return f"spread evenly, with no number beyond ±{abs(drawn).max():.2g}", ""
    if embedded and not _near(spread, 2):
        return "", deviation
    if drawn.size >= _MANY and abs(drawn - middle).max() < _CUT_OFF * spread:
        return "", f"a normal distribution that is cut off at ±{abs(drawn).max():.2g}"
    return "", ""


def _is_sorted(drawn: np.ndarray) -> bool:
    """Whether the numbers stand in order along an axis, so many that it is no accident."""
    for axis in range(1, drawn.ndim):
        steps, length = np.diff(drawn, axis=axis), drawn.shape[axis]
        by_accident = -(drawn.size / max(length, 1)) * math.lgamma(length + 1)
        if by_accident < _NEVER and ((steps > 0).all() or (steps < 0).all()):
            return True
    return False


def _near(spread: float, factor: float, wanted: float = TABLE_STD) -> bool:
    """Whether a standard deviation is the one asked for, up to a factor."""
    return wanted / factor <= spread <= wanted * factor


def _is_bounded(drawn: np.ndarray) -> bool:
    """Whether no number is far from the others, as of a uniform distribution.

    That is so for two hundred numbers of a normal distribution once in millions, and no more often
    where it is cut off at two standard deviations.
    """
    return bool(abs(drawn - drawn.mean()).max() < _UNIFORM * drawn.std())


def _more(judge: ContractJudge, trial: Trial, leaf: Leaf) -> Iterator[np.ndarray]:
    """How a parameter starts with other keys."""
    assert trial.matched is not None
    arrays = draw_arrays(judge.contract, trial.draw.sizes, np.random.default_rng(judge.seed))
    for start in trial.submission.starts(leaf.index, _OTHER_KEYS, arrays):
        yield leaf.of({leaf.index: start}) * trial.matched.factor(leaf)


def tables(judge: ContractJudge) -> set[int]:
    """The reference's learned tokens and tables, which start as normal(0.02)."""
    trials = judge.findings.trials
    leaves = trials[min(judge.ample, len(trials) - 1)].reference.leaves
    return {
        leaf.index
        for leaf in leaves
        if leaf.kind == "random" and leaf.role in ("add", "token") and leaf.size
    }


def drawn_alike(trace: RemoteTrace, values: list[np.ndarray]) -> list[str]:
    """A remark for parameters that start with the same numbers: their keys are the same."""
    known: dict[bytes, str] = {}
    for leaf in trace.leaves:
        value = values[leaf.index] if leaf.index < len(values) else np.zeros(0)
        if looks_drawn(value):
            # One key gives the same numbers first, however many are drawn.
            before = known.setdefault(value.ravel()[:2].tobytes(), leaf.path)
            if before != leaf.path:
                return [
                    f"'{before}' and '{leaf.path}' start with the same numbers: "
                    "a random key is used twice; jax.random.split makes several of one"
                ]
        if leaf.role == "kernel" and (times := _repeated(value)[0]) > 1:
            return [
                f"'{leaf.path}' starts with the same numbers {times} times: one random key "
                "draws all of them; jax.random.split (in nn.scan: split_rngs) makes several"
            ]
    return []


def constant_starts(trial: Trial, values: list[np.ndarray]) -> list[str]:
    """A remark for a kernel that starts as a constant, or a scale that does not start as ones."""
    if trial.matched is None:
        return []
    for leaf, slots in trial.matched.pieces:
        value = leaf.of(values)
        constant = value.size > 1 and (value == value.flat[0]).all()
        kinds = {slot.kind for slot in slots}
        if kinds == {"random"} and leaf.role == "kernel" and constant:
            return [f"'{leaf.path}' starts as a constant, {value.flat[0]:.2g}: is that meant?"]
        if kinds == {"ones"} and not (value + leaf.plus_one == 1).all():
            scale = f"1 + '{leaf.path}'" if leaf.plus_one else f"'{leaf.path}'"
            return [f"{scale}, a scale of LayerNorm, does not start as ones"]
    return []


def looks_drawn(value: np.ndarray) -> bool:
    """Whether these numbers hardly repeat: not zeros, ones or an identity."""
    return value.size > 1 and np.unique(value).size > value.size / 2


def _again(value: np.ndarray) -> str:
    times, axis = _repeated(value)
    if times > 1 and axis < value.ndim - 1:
        return f"the same row {times} times: tokens that start equal stay equal"
    return "the same numbers again and again"


def _repeated(value: np.ndarray) -> tuple[int, int]:
    """How often the same numbers stand along an axis, and which: (1, 0) for a constant."""
    if not value.size or (value == value.flat[0]).all():
        return 1, 0
    return max(
        (length if (value == value.take([0], axis)).all() else 1, axis)
        for axis, length in enumerate(value.shape)
    )

"""The check that matters most: equal numbers on every case, under one consistent pairing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, product
from typing import TYPE_CHECKING

import numpy as np

from grader.engine.align import Alignment, Case, align, settle, with_tables_shown
from grader.engine.cases import (
    ALL_STYLES,
    EXTREME,
    RARE,
    at_a_corner,
    draw_arrays,
    draw_weights,
    usual,
)
from grader.engine.compare import all_close, close, relative_gap, worst
from grader.engine.findings import Trial
from grader.engine.pairing import Choices
from grader.engine.parameters import back_to_whole, pair_in_pieces
from grader.engine.suspects import stages_of
from grader.engine.told_apart import told_apart
from grader.engine.traced import Output
from grader.engine.transplant import Match, common_mode, match
from grader.engine.words import case_words, unused_words

if TYPE_CHECKING:
    from grader.engine.contract_judge import ContractJudge

_MOST_REALIGNMENTS = 6
_MOST_IN_VAIN = 2


def check_numbers(judge: ContractJudge) -> None:
    """Run every case; checks ``finite`` and ``numbers``."""
    trials = judge.findings.trials
    for trial in trials:
        trial.cases = [make_case(judge, trial, style) for style in range(judge.cases_per_draw)]
    _settle_and_run(judge)
    equal = all(trial.equal for trial in trials)
    if not equal and not judge.in_pieces and not judge.findings.left_out:
        _try_in_pieces(judge)
    judge.findings.cases = sum(len(trial.cases) for trial in trials)
    _finite(judge)
    _equal(judge)


def _settle_and_run(judge: ContractJudge) -> None:
    """Choose one pairing for all draws, and evaluate the submission under it."""
    trials = judge.findings.trials
    pairs = [(trial.reference.leaves, trial.submission.pairable) for trial in trials]
    mode = common_mode(pairs)
    cases = [(t.reference, t.submission, t.cases[0]) for t in _telling(judge, trials)]
    stages, afresh = stages_of(judge.problem), Choices(mode=mode, known=told_apart(pairs, mode))
    for start in (judge.begin_with, afresh):
        if start is not None:
            settled = settle(cases, stages, start, judge.thorough)
            judge.findings.choices, judge.findings.left_out = settled.choices, settled.left_out
            _run(judge, trials, settled.choices)
            _settle_the_rest(judge, trials)
            if all(trial.equal for trial in trials):
                return


def _try_in_pieces(judge: ContractJudge) -> None:
    """Before numbers count as wrong, cut apart what is used in pieces: the rows of a table, say,
    which may stand there in another order.
    """
    trials = judge.findings.trials
    before = judge.findings.choices, [(trial.matched, trial.actual) for trial in trials]
    if not pair_in_pieces(judge, guess=True):
        return
    _settle_and_run(judge)
    if not all(trial.equal for trial in trials):
        judge.findings.choices = before[0]
        back_to_whole(judge, [matched for matched, _ in before[1]])
        for trial, (_, actual) in zip(trials, before[1], strict=True):
            trial.actual = actual


def _run(judge: ContractJudge, trials: Sequence[Trial], choices: Choices) -> None:
    """Evaluate the submission on every case of these draws."""
    tickets = []
    for trial in trials:
        matched = match(trial.reference.leaves, trial.submission.pairable, choices)
        if isinstance(matched, Match):  # else it stays paired as it can be
            trial.matched = matched
        assert trial.matched is not None
        tickets.append(
            [
                trial.submission.start_run(trial.matched.weights(case.weights), case.arrays)
                for case in trial.cases
            ]
        )
    for trial, asked in zip(trials, tickets, strict=True):
        trial.actual = [ticket.result()[1] for ticket in asked]


def _settle_the_rest(judge: ContractJudge, trials: list[Trial]) -> None:
    """Before a draw counts as wrong, try the layouts that the settled draws left alike."""
    settled = _telling(judge, trials)
    in_vain = set() if any(trial.equal for trial in settled) else {id(t) for t in settled}
    for _ in range(_MOST_REALIGNMENTS):
        wrong = [trial for trial in trials if not trial.equal]
        left = [trial for trial in wrong if id(trial) not in in_vain]
        if not left or len(wrong) == len(trials) or len(in_vain) == _MOST_IN_VAIN:
            return
        trial, choices = left[0], judge.findings.choices
        stages = stages_of(judge.problem)
        case = trial.cases[0]
        found = align(trial.reference, trial.submission, case, stages, choices, judge.thorough)
        if not isinstance(found, Alignment) or not found.equal:
            in_vain.add(id(trial))
            judge.findings.left_out |= isinstance(found, Alignment) and found.left_out
            continue
        if found.choices.orders == choices.orders:  # which array is which, on this draw only
            _run(judge, [trial], found.choices)
            shown = with_tables_shown(found.choices, trial.reference, trial.submission)
            if shown.tables != choices.tables:
                judge.findings.choices = shown
                _run(judge, [other for other in wrong if other is not trial], shown)
        else:
            judge.findings.choices = found.choices
            _run(judge, wrong, found.choices)


def _telling(judge: ContractJudge, trials: list[Trial]) -> list[Trial]:
    """The simplest draw, and the one that leaves the fewest layouts alike, with nothing absent."""

    def simple_fields(trial: Trial) -> int:
        fields = judge.problem.fields
        return sum(trial.draw.fields[name] == choices[0] for name, choices in fields.items())

    def absent(trial: Trial) -> bool:
        return any(type(value) is int and not value for value in trial.draw.fields.values())

    rest = sorted(
        (trial for trial in trials[1:] if trial.draw.tells),
        key=lambda t: (absent(t), simple_fields(t), t.draw.plainness),
    )
    return [trials[0], *rest[:1]]


def make_case(judge: ContractJudge, trial: Trial, style: int) -> Case:
    """Weights and inputs of a draw in a style (its place in `ALL_STYLES`), and their results."""
    generator = np.random.default_rng([trial.seed, style, judge.index])
    weights = draw_weights(trial.reference.leaves, generator, ALL_STYLES[style])
    arrays = draw_arrays(judge.contract, trial.draw.sizes, generator, ALL_STYLES[style])
    return Case(weights, arrays, trial.reference.run(weights, arrays))


def _finite(judge: ContractJudge) -> None:
    told = (
        (trial, number, case, actual)
        for trial in judge.findings.trials
        for number, (case, actual) in enumerate(zip(trial.cases, trial.actual, strict=True))
    )
    for trial, number, case, actual in chain(told, _extreme(judge)):
        for output, expected, value in zip(
            trial.reference.outputs, case.expected, actual, strict=False
        ):
            if np.isfinite(expected).all() and not np.isfinite(value).all():
                kind = "NaN" if np.isnan(value).any() else "an infinity"
                first = np.argwhere(~np.isfinite(value))[0].tolist()
                where = f"{output.label}{first}" if first else output.label
                large = "large weights and " if number == EXTREME else ""
                sizes = case_words(trial.draw.fields)
                judge.findings.failing = judge.findings.failing or (trial, number)
                judge.fail("finite", f"{kind} comes out, first at {where}, for {large}{sizes}")
                return
    judge.passed("finite")


def _extreme(judge: ContractJudge) -> Iterator[tuple[Trial, int, Case, list[np.ndarray]]]:
    """A case with weights so large that what float32 cannot hold comes up where it can."""
    if judge.contract.creates_parameters:
        trial = judge.findings.trials[judge.ample]
        assert trial.matched is not None
        case = make_case(judge, trial, EXTREME)
        weights = trial.matched.weights(case.weights)
        yield trial, EXTREME, case, trial.submission.run(weights, case.arrays)


def _equal(judge: ContractJudge) -> None:
    wrong = [
        (trial, number)
        for trial in judge.findings.trials
        for number, case in enumerate(trial.cases)
        if not all_close(trial.actual[number], case.expected)
    ]
    if not wrong:
        _rare(judge)
        return
    trial = min(
        (trial for trial, _ in wrong),
        key=lambda t: (at_a_corner(judge.problem, t.draw), t.draw.plainness),
    )
    number = max(
        (n for t, n in wrong if t is trial),
        # With tiny weights attention is uniform, whatever came before it.
        key=lambda n: (
            ALL_STYLES[n] != "quiet",
            relative_gap(trial.actual[n], trial.cases[n].expected),
        ),
    )
    judge.findings.failing = (trial, number)
    off = _off(trial.reference.outputs, trial.cases[number], trial.actual[number])
    message = (
        f"{len(wrong)} of {judge.findings.cases} cases differ from the reference; "
        f"in one of them, {off}"
    )
    judge.fail("numbers", "\n".join([message, *unused_words(trial.submission.leaves)]))


def _rare(judge: ContractJudge) -> None:
    """What is right for random numbers has to be so for zeros, equal rows and large biases."""
    asked = []
    for place, name in product(usual(judge.draws, judge.contract), RARE):
        trial, style = judge.findings.trials[place], ALL_STYLES.index(name)
        assert trial.matched is not None
        case = make_case(judge, trial, style)
        if all(np.isfinite(expected).all() for expected in case.expected):
            weights = trial.matched.weights(case.weights)
            asked.append((trial, style, case, trial.submission.start_run(weights, case.arrays)))
    for trial, style, case, ticket in asked:
        _, actual = ticket.result()
        if not all_close(actual, case.expected):
            judge.findings.failing = (trial, style)
            off = _off(trial.reference.outputs, case, actual)
            words = RARE[ALL_STYLES[style]]
            judge.fail("numbers", f"right for random numbers; where {words}, {off}")
            return
    judge.passed("numbers")


def _off(outputs: Sequence[Output], case: Case, actual: Sequence[np.ndarray]) -> str:
    """Which number of the first result that differs is off the most, and by how much."""
    for output, value, expected in zip(outputs, actual, case.expected, strict=False):
        if value.shape == expected.shape and not close(value, expected):
            gap, index = worst(value, expected)
            where = f"{output.label}{list(index)}" if index else output.label
            if expected.dtype == bool:
                return f"{where} is {bool(value[index])} and should be {bool(expected[index])}"
            if not np.isfinite(value[index]):
                kind = "NaN" if np.isnan(value[index]) else "an infinity"
                return f"{where} is {kind} and should be {expected[index]:.3g}"
            return f"{where} is off by {gap:.3g}"
    return "nothing is off"

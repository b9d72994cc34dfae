"""Checks of functions that create parameters: seed, start, transformations, gradients."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from grader.engine.cases import draw_arrays, draw_weights
from grader.engine.compare import TOLERANCE, all_close, close
from grader.engine.findings import Trial
from grader.engine.remote import RemoteTrace, SubmissionError
from grader.engine.words import error_words

if TYPE_CHECKING:
    from grader.engine.contract_judge import ContractJudge

TABLE_STD = 0.02
"""How learned tokens and positions start (catalogue: ``normal(0.02)``), within a factor of 4."""
_XLA_TOLERANCE = 2e-3
"""float32 through XLA against float64 through NumPy, on the smallest case."""


def check_seed(judge: ContractJudge) -> None:
    """The seed decides the parameters, the same way each time, and nothing else."""
    arrays = draw_arrays(judge.contract, judge.draws[0].sizes, np.random.default_rng(judge.seed))
    own = judge.findings.trials[0].submission
    asked = [trace.start_initial(arrays) for trace in (own, judge.other_seed, judge.again)]
    first, other, again = (ticket.result()[1] for ticket in asked)
    random = [leaf.index for leaf in own.leaves if leaf.kind == "random" and leaf.size]
    if len(first) != len(own.leaves) or len(other) != len(first) or len(again) != len(first):
        judge.fail("seed", "the number of parameters depends on the seed")
    elif not all(np.array_equal(a, b) for a, b in zip(first, again, strict=True)):
        judge.fail("seed", "the same seed gave different parameters when asked again")
    elif random and all(np.array_equal(first[i], other[i]) for i in random):
        judge.fail("seed", "another seed gives the same parameters; is `seed` used?")
    elif any(np.array_equal(first[i], other[i]) for i in random):
        fixed = next(i for i in random if np.array_equal(first[i], other[i]))
        judge.fail("seed", f"'{own.leaves[fixed].path}' does not depend on the seed")
    elif not _only_through_parameters(judge):
        judge.fail("seed", "with the same parameters, the result still depends on the seed")
    else:
        judge.passed("seed")
    judge.findings.remarks += _drawn_alike(own, first)
    _initial(judge)


def _drawn_alike(trace: RemoteTrace, values: list[np.ndarray]) -> list[str]:
    """A remark for parameters that start with the same numbers: their keys are the same."""
    random = [leaf for leaf in trace.leaves if leaf.kind == "random" and leaf.size > 1]
    for one, other in combinations(random, 2):
        if len(values) > other.index and np.array_equal(values[one.index], values[other.index]):
            return [
                f"'{one.path}' and '{other.path}' start with the same numbers: "
                "a random key is used twice; jax.random.split makes several of one"
            ]
    return []


def _initial(judge: ContractJudge) -> None:
    """Whether tokens and tables start as those of the reference do."""
    trial = judge.findings.trials[judge.whole]
    if trial.matched is None or not tables(judge):
        return
    arrays = draw_arrays(judge.contract, trial.draw.sizes, np.random.default_rng(judge.seed))
    asked = [trace.start_initial(arrays) for trace in (trial.submission, judge.other_whole)]
    first, other = (ticket.result()[1] for ticket in asked)
    wrong, odd = [], []
    for leaf, slots in trial.matched.pieces:
        if not all(slot.members[0] in tables(judge) for slot in slots):
            continue
        spread = float(np.std([*first[leaf.index].ravel(), *other[leaf.index].ravel()]))
        zeros = leaf.kind == "zeros"
        embedded = leaf.path.rsplit("/", 1)[-1] == "embedding"  # nn.Embed has its own default
        if not TABLE_STD / 4 <= spread <= TABLE_STD * 4 and not zeros and not embedded:
            wrong.append(f"'{leaf.path}' starts with a standard deviation of {spread:.2g}")
        elif zeros or not TABLE_STD / 2 <= spread <= TABLE_STD * 2:
            start = "zeros" if zeros else f"a standard deviation of {spread:.2g}"
            odd.append(f"'{leaf.path}' starts with {start}; the text asks for {TABLE_STD}")
    judge.findings.remarks += odd
    if wrong:
        judge.fail("initial", "; ".join(wrong) + f"; the text asks for {TABLE_STD}")
    else:
        judge.passed("initial")


def tables(judge: ContractJudge) -> set[int]:
    """The reference's learned tokens and tables, which start as normal(0.02)."""
    trials = judge.findings.trials
    leaves = trials[min(judge.whole, len(trials) - 1)].reference.leaves
    return {
        leaf.index
        for leaf in leaves
        if leaf.kind == "random" and leaf.role in ("add", "token") and leaf.size
    }


def _only_through_parameters(judge: ContractJudge) -> bool:
    trial = judge.findings.trials[0]
    generator = np.random.default_rng([judge.seed, 77])
    weights = draw_weights(trial.submission.leaves, generator, "ordinary")
    arrays = draw_arrays(judge.contract, trial.draw.sizes, generator)
    runs = [
        trace.start_run(weights, arrays)
        for trace in (trial.submission, judge.other_seed, judge.again)
    ]
    first, *others = (run.result()[1] for run in runs)
    return all(all_close(other, first) for other in others)


def check_transforms(judge: ContractJudge) -> None:
    """``jax.vmap`` and ``jax.jit`` (through XLA, once) agree with the plain call."""
    trial = judge.findings.trials[0]
    try:
        message = _vmap_message(judge, trial)
    except SubmissionError as error:
        message = "jax.vmap over a batch of inputs fails\n" + error_words(error.error)
        judge.findings.error = error.error
    try:
        message = message or _jit_message(judge, trial)
    except SubmissionError as error:
        message = "jax.jit fails\n" + error_words(error.error)
        judge.findings.error = error.error
    if message:
        judge.fail("transforms", message)
    else:
        judge.passed("transforms")


def _vmap_message(judge: ContractJudge, trial: Trial) -> str:
    generator = np.random.default_rng([judge.seed, 79])
    weights = draw_weights(trial.submission.leaves, generator, "ordinary")
    pair = [draw_arrays(judge.contract, trial.draw.sizes, generator) for _ in range(2)]
    stacked = [np.stack(both) for both in zip(*pair, strict=True)]
    judge.batched.outputs  # noqa: B018  an error while tracing shows here
    singles = [trial.submission.start_run(weights, arrays) for arrays in pair]
    together = judge.batched.run(weights, stacked)
    apart = [np.stack(both) for both in zip(*(s.result()[1] for s in singles), strict=True)]
    if all_close(together, apart):
        return ""
    return "jax.vmap over a batch gives other numbers than one input at a time"


def _jit_message(judge: ContractJudge, trial: Trial) -> str:
    elsewhere = judge.elsewhere
    if elsewhere.compiled is None:
        return ""
    plain = trial.submission.run(elsewhere.weights, elsewhere.arrays)
    _, compiled = elsewhere.compiled.result()
    if all_close(compiled, plain, _XLA_TOLERANCE):
        return ""
    return "the compiled function (jax.jit) gives other numbers than the plain call"


def check_gradients(judge: ContractJudge) -> None:
    """Every parameter gets the gradient that it has in the reference, and so do tokens."""
    if not judge.contract.creates_parameters:
        return
    trial = judge.findings.trials[0]
    assert trial.matched is not None
    case = trial.cases[0]
    generator = np.random.default_rng([judge.seed, 80])
    cotangents = [generator.normal(size=value.shape) for value in case.expected]
    weights = trial.matched.weights(case.weights)
    trace = trial.submission if judge.second is None else judge.at_second
    ticket = trace.start_gradients(weights, case.arrays, cotangents)
    ours = trial.reference.gradients(case.weights, case.arrays, cotangents)
    of_inputs = ours[len(case.weights) :]
    expected = [*trial.matched.arranged(ours), *of_inputs]
    _, actual = ticket.result()
    if len(actual) != len(expected):
        judge.fail("gradients", f"{len(actual)} gradients came for {len(expected)} parameters")
        return
    names = [f"parameter '{leaf.path}'" for leaf in trial.submission.leaves]
    names += [f"input '{name}'" for name in trial.reference.array_names]
    for name, ours_here, theirs in zip(names, expected, actual, strict=False):
        if not close(theirs, ours_here, 1e3 * TOLERANCE) and np.abs(ours_here).max() > 1e-9:
            state = "gets no gradient" if not theirs.any() else "gets a wrong gradient"
            judge.fail("gradients", f"the {name} {state}")
            return
    judge.passed("gradients")

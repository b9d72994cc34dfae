"""Checks of what JAX makes of a function: transformations and gradients."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from grader.engine.align import Case
from grader.engine.cases import ALL_STYLES, RARE, draw_arrays, draw_weights, usual
from grader.engine.compare import TOLERANCE, all_close, close
from grader.engine.findings import Trial
from grader.engine.numbers import make_case
from grader.engine.remote import SubmissionError
from grader.engine.words import error_words
from grader.problem import Contract, Problem

if TYPE_CHECKING:
    from grader.engine.contract_judge import ContractJudge

_XLA_TOLERANCE = 2e-3
"""float32 through XLA against float64 through NumPy, on the smallest case."""


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
    rounded = trial.submission.narrow != trial.reference.narrow  # which 'shape' tells already
    if rounded or all_close(compiled, plain, _XLA_TOLERANCE):
        return ""
    return "the compiled function (jax.jit) gives other numbers than the plain call"


def differentiated(problem: Problem, contract: Contract) -> bool:
    """Whether gradients are to flow through a function: a model's, or a layer's beside one."""
    return contract.creates_parameters or any(c.creates_parameters for c in problem.contracts)


def check_gradients(judge: ContractJudge) -> None:
    """Every parameter gets the gradient that it has in the reference, and so do tokens.

    At the ample draw: there is every kind of parameter in it, and several layers; there also where
    all rows are equal or some are zero, which is where a root has no slope. Whoever stops a
    gradient is asked wherever it happens.
    """
    trials = judge.findings.trials
    stops = {i for i, trial in enumerate(trials) if trial.submission.stops_gradients}
    places = usual(judge.draws, judge.contract)
    asked = [(trials[i], trials[i].cases[0], "") for i in stops.union(places)]
    for i, style in product(places, ("blank", "alike")):
        case = make_case(judge, trials[i], ALL_STYLES.index(style))
        asked.append((trials[i], case, f" where {RARE[style]}"))
    wrong = ((_gradient_message(judge, trial, case), where) for trial, case, where in asked)
    if message := next((told + where for told, where in wrong if told), ""):
        judge.fail("gradients", message)
    else:
        judge.passed("gradients")


def _gradient_message(judge: ContractJudge, trial: Trial, case: Case) -> str:
    assert trial.matched is not None
    generator = np.random.default_rng([judge.seed, 80])
    cotangents = [generator.normal(size=value.shape) for value in case.expected]
    weights = trial.matched.weights(case.weights)
    ticket = trial.submission.start_gradients(weights, case.arrays, cotangents)
    ours = trial.reference.gradients(case.weights, case.arrays, cotangents)
    of_inputs = ours[len(case.weights) :]
    expected = [*trial.matched.gradients(ours), *of_inputs]
    _, actual = ticket.result()
    if len(actual) != len(expected):
        return f"{len(actual)} gradients came for {len(expected)} parameters"
    names = [f"parameter '{leaf.path}'" for leaf in trial.submission.leaves]
    names += [f"input '{name}'" for name in trial.reference.array_names]
    for name, ours_here, theirs in zip(names, expected, actual, strict=False):
        asked_for = np.isfinite(ours_here).all() and np.abs(ours_here).max() > 1e-9
        if asked_for and not close(theirs, ours_here, 1e3 * TOLERANCE):
            return f"the {name} gets {_kind_of_gradient(theirs)}"
    return ""


def _kind_of_gradient(gradient: np.ndarray) -> str:
    if not np.isfinite(gradient).all():
        return "NaN as its gradient" if np.isnan(gradient).any() else "an infinite gradient"
    return "a wrong gradient" if gradient.any() else "no gradient"

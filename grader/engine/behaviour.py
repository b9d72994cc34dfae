"""Name a mistake by what a submission does rather than by its numbers: crashes, seed, gradients."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from grader.engine.cases import STYLES, draw_arrays, draw_weights
from grader.engine.compare import all_close
from grader.engine.contract_judge import ContractJudge
from grader.engine.suspects import Suspect
from grader.engine.traced import Traced
from grader.engine.transplant import Mismatch, match


def crashing_alike(judge: ContractJudge, suspects: Iterable[Suspect]) -> Suspect | None:
    """The mistake that crashes with the same exception on the same draw."""
    error = judge.findings.error
    if error is None:
        return None
    draw = judge.draws[min(len(judge.findings.trials), len(judge.draws) - 1)]
    for suspect in suspects:
        if suspect.check == "runs":
            try:
                _trace(judge, suspect, judge.seed, draw.sizes)
            except Exception as crash:
                if _same_error(error, crash):
                    return suspect
    return None


def behaving_alike(judge: ContractJudge, suspects: Iterable[Suspect]) -> Suspect | None:
    """The mistake that fails the same check, of seed or gradients, in the same way."""
    failed = judge.findings.failed
    ways = {"seed": _same_seeds, "gradients": _same_gradients}
    same = ways.get(str(failed))
    if same is None:
        return None
    if failed == "seed" and not judge.findings.seed_ignored:
        return None
    trial = judge.findings.trials[judge.ample if failed == "gradients" else 0]
    for suspect in suspects:
        if suspect.check == failed:
            with contextlib.suppress(Exception):  # a mutant may crash on these sizes
                mutant = _trace(judge, suspect, trial.seed, trial.draw.sizes)
                if same(judge, suspect, mutant):
                    return suspect
    return None


def _trace(judge: ContractJudge, suspect: Suspect, seed: int, sizes: Any) -> Traced:
    solutions = suspect.solutions()
    return solutions.trace(judge.problem.number, judge.contract, seed, sizes)


def _same_seeds(judge: ContractJudge, suspect: Suspect, mutant: Traced) -> bool:
    """Whether another seed gives the mutant the same parameters."""
    trial = judge.findings.trials[0]
    arrays = draw_arrays(judge.contract, trial.draw.sizes, np.random.default_rng(0))
    other = _trace(judge, suspect, trial.seed + 1000, trial.draw.sizes)
    started = (trace.initial_values(arrays)[0] for trace in (mutant, other))
    return all(np.array_equal(a, b) for a, b in zip(*started, strict=True))


def _same_gradients(judge: ContractJudge, _: Suspect, mutant: Traced) -> bool:
    """Whether the mutant has the submission's gradients."""
    trial = judge.findings.trials[judge.ample]
    generator = np.random.default_rng([trial.seed, 50])
    weights = draw_weights(mutant.leaves, generator, STYLES[0])
    arrays = draw_arrays(judge.contract, trial.draw.sizes, generator)
    cotangents = [np.ones(value.shape) for value in mutant.run(weights, arrays)]
    matched = match(mutant.leaves, trial.submission.pairable, judge.findings.choices)
    if isinstance(matched, Mismatch):
        return False
    found = mutant.gradients(weights, arrays, cotangents)
    ours = [*matched.gradients(found), *found[len(weights) :]]
    asked = trial.submission.start_gradients(matched.weights(weights), arrays, cotangents)
    theirs = asked.result()[1]
    return all_close(theirs, ours, 1e-3)


def _same_error(told: Mapping[str, Any], crash: Exception) -> bool:
    """Same class, same words, and the same lengths in them."""
    if told.get("type") != type(crash).__name__:
        return False
    ours, theirs = str(crash)[:200], str(told.get("message"))[:200]
    if ours == theirs:
        return True
    return _words(ours) == _words(theirs) and _lengths(ours) == _lengths(theirs)


def _words(message: str) -> str:
    return re.sub(r"[\d(),\s]+", " ", message.split(". ", maxsplit=1)[0])


def _lengths(message: str) -> Counter[str]:
    """The lengths other than 1 in a message: a batch axis does not change what went wrong."""
    return Counter(n for n in re.findall(r"\d+", message.split(". ", maxsplit=1)[0]) if n != "1")

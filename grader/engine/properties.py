"""Properties that must hold whatever the numbers are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from grader.engine.findings import Trial

if TYPE_CHECKING:
    from grader.engine.contract_judge import ContractJudge


def check_properties(judge: ContractJudge) -> None:
    """Evaluate each property of the contract on two draws, with the first case's weights."""
    if not judge.contract.properties:
        return
    trials = [judge.findings.trials[0], judge.findings.trials[-1]]
    broken = [
        claim.title
        for claim in judge.contract.properties
        if not all(_holds(judge, trial, claim.holds) for trial in trials)
    ]
    if broken:
        judge.fail("properties", "does not hold: " + "; ".join(broken))
    else:
        judge.passed("properties")


def _holds(judge: ContractJudge, trial: Trial, claim: object) -> bool:
    assert trial.matched is not None
    assert callable(claim)
    case = trial.cases[0]
    weights = trial.matched.weights(case.weights)
    names = trial.reference.array_names

    def run(arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        inputs = [np.ascontiguousarray(arrays[name]) for name in names]
        return trial.submission.run(weights, inputs)

    given = dict(zip(names, case.arrays, strict=True))
    with np.errstate(all="ignore"):
        return bool(claim(run, given, trial.draw.sizes))

"""The same call gives the same result: asked again, in another process, under another clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grader.engine.cases import draw_arrays, draw_weights
from grader.engine.compare import all_close
from grader.engine.findings import Trial
from grader.engine.remote import Ticket

if TYPE_CHECKING:
    from grader.engine.contract_judge import ContractJudge


class Elsewhere:
    """What the second child makes of the simplest draw, asked while the first one works.

    Attributes:
      weights: random weights in the submission's own order; the first child gets the same.
      arrays: the inputs.

    """

    def __init__(self, judge: ContractJudge, trial: Trial) -> None:
        generator = np.random.default_rng([judge.seed, 78])
        self.weights = draw_weights(trial.submission.leaves, generator, "ordinary")
        self.arrays = draw_arrays(judge.contract, trial.draw.sizes, generator)
        self.run: Ticket | None = None
        self.initial: Ticket | None = None
        self.compiled: Ticket | None = None
        if judge.second is None:
            return
        trace = judge.at_second
        self.run = trace.start_run(self.weights, self.arrays)
        if judge.contract.creates_parameters:
            self.initial = trace.start_initial(self.arrays)
        if judge.through_xla:
            self.compiled = judge.second.ask(
                "compile", [*self.weights, *self.arrays], id=trace.id, weights=len(self.weights)
            )


def check_repeats(judge: ContractJudge) -> None:
    """The simplest draw, traced a second time and in a second process, gives the same."""
    trial, elsewhere = judge.findings.trials[0], judge.elsewhere
    asked = [
        trace.start_run(elsewhere.weights, elsewhere.arrays)
        for trace in (trial.submission, judge.again)
    ]
    first, again = (ticket.result()[1] for ticket in asked)
    if _differs_elsewhere(judge, first):
        judge.fail(
            "repeats",
            "the same call gave another result in another process, at another time; "
            "a result may depend on the arguments only",
        )
    elif not all_close(again, first):
        judge.fail("repeats", "the same call gave another result when asked again")
    else:
        judge.passed("repeats")


def _differs_elsewhere(judge: ContractJudge, first: list[np.ndarray]) -> bool:
    elsewhere = judge.elsewhere
    if elsewhere.run is not None and not all_close(elsewhere.run.result()[1], first):
        return True
    if elsewhere.initial is None:
        return False
    own = judge.findings.trials[0].submission.start_initial(elsewhere.arrays)
    return not all_close(elsewhere.initial.result()[1], own.result()[1])

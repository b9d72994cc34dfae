"""What the judging of one contract gathers: trials, checks, and what failed first."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from grader.engine.align import Case
from grader.engine.cases import Draw
from grader.engine.compare import all_close
from grader.engine.own_factors import TABLE_STD
from grader.engine.pairing import Choices
from grader.engine.remote_trace import RemoteTrace
from grader.engine.traced import Traced
from grader.engine.transplant import Match, Mismatch
from grader.problem import CheckId, Contract
from grader.verdict import Check

WEIGHTS: dict[CheckId, float] = {
    "implemented": 0.0,
    "runs": 1.0,
    "parameters": 1.5,
    "shape": 1.0,
    "finite": 0.5,
    "numbers": 4.0,
    "properties": 0.5,
    "repeats": 0.5,
    "seed": 1.0,
    "initial": 0.5,
    "transforms": 1.0,
    "gradients": 1.0,
}


def title_of(id: CheckId, contract: Contract, cases: int, shapes: int) -> str:
    """What a check claims of a contract function, in words."""
    differentiated = "parameter" if contract.creates_parameters else "input"
    titles: dict[CheckId, str] = {
        "implemented": "something is implemented",
        "runs": "it runs",
        "parameters": "it creates the right parameters",
        "shape": "shape and dtype are right",
        "finite": "no NaN, no infinity",
        "numbers": f"the numbers are right ({cases} cases, {shapes} shapes)",
        "properties": "; ".join(p.title for p in contract.properties),
        "repeats": "the same call gives the same result every time",
        "seed": "the seed matters, and only through the parameters",
        "initial": f"learned tokens and positions start as normal({TABLE_STD})",
        "transforms": "jax.jit and jax.vmap agree with the plain call",
        "gradients": f"every {differentiated} gets its gradient",
    }
    return titles[id]


@dataclass
class Trial:
    """One draw: both traces, the pairing of their parameters, and the cases run on it."""

    draw: Draw
    seed: int
    reference: Traced
    submission: RemoteTrace
    matched: Match | None = None
    cases: list[Case] = field(default_factory=list)
    actual: list[list[np.ndarray]] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether the submission agrees with the reference on every case of this draw."""
        pairs = zip(self.actual, self.cases, strict=True)
        return all(all_close(actual, case.expected) for actual, case in pairs)


@dataclass
class Findings:
    """What the judging of one contract leaves for the diagnosis and the report."""

    checks: list[Check] = field(default_factory=list)
    failed: CheckId | None = None
    error: dict[str, object] | None = None
    failing: tuple[Trial, int] | None = None
    choices: Choices = field(default_factory=Choices)
    trials: list[Trial] = field(default_factory=list)
    mismatch: Mismatch | None = None
    left_out: bool = False  # layouts that nothing spoke for were not tried
    seed_ignored: bool = False
    cases: int = 0
    remarks: list[str] = field(default_factory=list)

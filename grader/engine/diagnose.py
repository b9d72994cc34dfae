"""Name the mistake: run the known ones and see which gives the submission's numbers."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grader.engine.align import Alignment, Case, align
from grader.engine.cases import STYLES, draw_arrays, draw_weights
from grader.engine.compare import all_close
from grader.engine.contract_judge import ContractJudge, Trial
from grader.engine.process import Lost
from grader.engine.reference import EditDoesNotApply
from grader.engine.remote import SubmissionError
from grader.engine.stages import StageFinding, find_stages, parting, stage_values
from grader.engine.suspects import (
    Suspect,
    family_of,
    pair_suspects,
    pitfall_suspects,
    variant_suspects,
)
from grader.engine.traced import Traced
from grader.engine.transplant import Match, Mismatch, match

PAIR_SECONDS = 1.0
_CONFIRMING_TRIALS = 4


@dataclass
class Diagnosed:
    """What is known about a failing contract: where it parts, and which mistakes explain it."""

    stages: list[StageFinding] = field(default_factory=list)
    suspects: list[Suspect] = field(default_factory=list)


class Diagnostician:
    """Compares one failing submission with mutants of the reference."""

    def __init__(self, judge: ContractJudge) -> None:
        self.judge = judge
        self.findings = judge.findings
        self.problem = judge.problem

    # --- accepted variants -----------------------------------------------------------------

    def accepted_variant(self) -> Suspect | None:
        """The combination of accepted variants that gives the submission's numbers, if any."""
        if self.findings.failed != "numbers" or self.findings.failing is None:
            return None
        for suspect in variant_suspects(self.problem):
            if self._explains(suspect):
                return suspect
        return None

    # --- where -----------------------------------------------------------------------------

    def stages(self) -> list[StageFinding]:
        """The stages of the reference on the failing case, each found or not."""
        if self.findings.failing is None or not self.problem.stages:
            return []
        trial, number = self.findings.failing
        if not trial.cases or trial.matched is None:
            return []
        case = trial.cases[number]
        _, seen = trial.reference.run_recorded(case.weights, case.arrays)
        stages = stage_values(self.problem.stages, seen)
        weights = trial.matched.weights(case.weights)
        _, values, lines = trial.submission.record(weights, case.arrays)
        return find_stages(stages, values, lines)

    # --- what ------------------------------------------------------------------------------

    def diagnose(self) -> Diagnosed:
        """The stage trace and the mistakes that explain the submission."""
        failed = self.findings.failed
        findings = self.stages()
        parted = parting(findings)
        stage = None
        if parted is not None and self.findings.failing is not None:
            stage = self._stage_name(parted)
        singles = pitfall_suspects(self.problem, failed, stage)
        if failed == "runs":
            return Diagnosed(findings, list(self._crashing(singles)))
        if failed in ("seed", "gradients", "transforms"):
            same = [s for s in singles if s.pitfalls[0][1].check == failed]
            return Diagnosed(findings, [s for s in same if self._behaves_like(s, failed)])
        if self.findings.failing is None:
            return Diagnosed(findings)
        for suspect in singles:
            if self._explains(suspect):
                return Diagnosed(findings, [suspect])
        end = time.monotonic() + PAIR_SECONDS
        for suspect in pair_suspects(singles, variant_suspects(self.problem)[:3]):
            if time.monotonic() > end:
                break
            if self._explains(suspect):
                return Diagnosed(findings, [suspect])
        return Diagnosed(findings)

    def _stage_name(self, index: int) -> str | None:
        trial, number = self.findings.failing  # type: ignore[misc]
        case = trial.cases[number]
        _, seen = trial.reference.run_recorded(case.weights, case.arrays)
        return stage_values(self.problem.stages, seen)[index].name

    def _mutant(self, suspect: Suspect, trial: Trial, drawn: bool = False) -> Traced | None:
        """The mutant at the trial's sizes; None when the edits exclude each other or it crashes."""
        try:
            solutions = suspect.solutions()
            return solutions.trace(
                self.problem,
                self.judge.contract,
                trial.seed,
                trial.draw.sizes,
                None if drawn else self.judge.kinds,
            )
        except EditDoesNotApply:
            return None
        except Exception:
            return None

    def _explains(self, suspect: Suspect) -> bool:
        """Whether the submission computes what the mutant does, on several draws."""
        assert self.findings.failing is not None
        failing = self.findings.failing[0]
        others = [t for t in self.findings.trials if t is not failing]
        checked = 0
        for trial in [failing, *others[-_CONFIRMING_TRIALS + 1 :]]:
            mutant = self._mutant(suspect, trial)
            if mutant is None or not self._agree(mutant, trial, first=not checked):
                return False
            checked += 1
        return True

    def _agree(self, mutant: Traced, trial: Trial, first: bool) -> bool:
        submission = trial.submission
        try:
            if [o.shape for o in mutant.outputs] != [o.shape for o in submission.outputs]:
                return False
            if self.findings.mismatch is not None:
                matched: Match | Mismatch = match(mutant.leaves, submission.leaves)
            else:
                matched = match(mutant.leaves, submission.leaves, self.findings.choices)
            if isinstance(matched, Mismatch):
                return False
            for style in (0, 2):
                case = self._case(mutant, trial, style)
                actual = submission.run(matched.weights(case.weights), case.arrays)
                if not all_close(actual, case.expected):
                    if not (first and self.findings.mismatch is not None):
                        return False
                    aligned = align(mutant, submission, case)
                    if not isinstance(aligned, Alignment) or not aligned.equal:
                        return False
                    self.findings.choices = aligned.choices
        except SubmissionError:
            return False
        return True

    def _case(self, mutant: Traced, trial: Trial, style: int) -> Case:
        generator = np.random.default_rng([trial.seed, 50 + style])
        weights = draw_weights(mutant.leaves, generator, STYLES[style])
        arrays = draw_arrays(self.judge.contract, trial.draw.sizes, generator)
        return Case(weights, arrays, mutant.run(weights, arrays))

    def _crashing(self, singles: Iterable[Suspect]) -> Iterable[Suspect]:
        """Mistakes that crash with the same exception on the same draw."""
        error = self.findings.error
        if error is None:
            return
        draw = self.judge.draws[min(len(self.findings.trials), len(self.judge.draws) - 1)]
        for suspect in singles:
            if suspect.pitfalls[0][1].check != "runs":
                continue
            try:
                suspect.solutions().trace(self.problem, self.judge.contract, 0, draw.sizes)
            except EditDoesNotApply:
                continue
            except Exception as crash:
                if _same_error(error, crash):
                    yield suspect
                    return

    def _behaves_like(self, suspect: Suspect, failed: str) -> bool:
        """Whether the mutant fails the same check in the same way, on the first draw."""
        trial = self.findings.trials[0]
        mutant = self._mutant(suspect, trial, drawn=True)
        if mutant is None:
            return False
        if failed == "seed":
            arrays = draw_arrays(self.judge.contract, trial.draw.sizes, np.random.default_rng(0))
            other = suspect.solutions().trace(
                self.problem, self.judge.contract, trial.seed + 1000, trial.draw.sizes
            )
            pairs = zip(mutant.initial_values(arrays), other.initial_values(arrays), strict=True)
            return all(np.array_equal(a, b) for a, b in pairs)
        return failed == "gradients"


def _same_error(told: dict[str, Any], crash: Exception) -> bool:
    if told.get("type") != type(crash).__name__:
        return False
    ours, theirs = str(crash)[:100], str(told.get("message"))[:100]
    return ours == theirs or ours.split("(")[0] == theirs.split("(")[0]


def titles(suspects: Iterable[Suspect]) -> list[tuple[int, Any]]:
    """The pitfalls of the suspects, each with the number of its problem."""
    return [item for suspect in suspects for item in suspect.pitfalls]


__all__ = ["Diagnosed", "Diagnostician", "Lost", "family_of", "titles"]

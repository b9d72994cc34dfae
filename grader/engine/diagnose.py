"""Name the mistake: run the known ones and see which gives the submission's numbers.

The search is greedy.  A submission and the reference part at some stage; of the known mistakes
those are tried first that show at that stage, and one that lets the two go together further is
kept, until they agree to the end.  So two or three mistakes at once cost little more than one.
Accepted variants take part like mistakes; an answer that they alone explain passes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from grader.engine.align import Alignment, Case, align
from grader.engine.cases import STYLES, Draw, draw_arrays, draw_weights
from grader.engine.compare import all_close
from grader.engine.contract_judge import ContractJudge
from grader.engine.findings import Trial
from grader.engine.reference import EditDoesNotApply
from grader.engine.remote import RemoteTrace, SubmissionError
from grader.engine.stages import (
    StageFinding,
    StageValue,
    find_stages,
    found_among,
    marks,
    parting,
    stage_values,
)
from grader.engine.suspects import (
    Suspect,
    family_of,
    single_suspects,
    stages_of,
    variant_suspects,
)
from grader.engine.traced import Traced
from grader.engine.transplant import DEFAULT, Choices, Mismatch, match
from grader.problem import Problem

_SECONDS = 1.3
_MOST_MISTAKES = 3
_CONFIRMING_TRIALS = 3
_MOST_ALIGNMENTS = 8
_UNKNOWN = 10**6


@dataclass(frozen=True, order=True)
class Distance:
    """How far a submission is from a mutant: parameters, then stages, then single values."""

    parameters: int
    stages: int
    values: int


@dataclass(frozen=True)
class Comparison:
    """A submission beside a mutant on one case."""

    distance: Distance
    equal: bool = False
    choices: Choices = DEFAULT
    plain: bool = True  # whether no table had to be taken apart to pair the parameters
    parted: Mapping[int, str | None] = field(default_factory=dict)  # by problem, in its own stages
    findings: tuple[StageFinding, ...] = ()


@dataclass
class Diagnosed:
    """What is known about a failing contract: where it parts, and what explains it.

    ``tried`` counts the mistakes that were run; ``complete`` is whether there was time for all.
    """

    stages: Sequence[StageFinding] = ()
    suspect: Suspect | None = None
    tried: int = 0
    complete: bool = True


class Diagnostician:
    """Compares one failing submission with mutants of the reference."""

    def __init__(self, judge: ContractJudge, seconds: float = _SECONDS) -> None:
        self.judge = judge
        self.findings = judge.findings
        self.problem = judge.problem
        self.tried = 0
        self._members = family_of(self.problem)
        self._stages = stages_of(self.problem)
        self._compared: dict[tuple[Suspect, int, int], Comparison] = {}
        self._seconds = seconds
        self._end = math.inf

    def accepted_variant(self) -> Suspect | None:
        """The accepted variants that together give the submission's numbers, if any do.

        This decides whether a right answer passes, so it takes the time that it needs.
        """
        if self.findings.failed != "numbers":
            return None
        suspect, _ = self._follow(variant_suspects(self.problem), 4)
        return suspect

    def diagnose(self) -> Diagnosed:
        """The stage trace and the mistakes that explain the submission."""
        self._end = time.process_time() + self._seconds
        failed = self.findings.failed
        singles = single_suspects(self.problem, failed)
        if failed == "runs":
            return Diagnosed(suspect=self._crashing(singles), tried=self.tried)
        if failed in ("seed", "gradients", "transforms"):
            same = (s for s in singles if s.check == failed)
            return Diagnosed(suspect=next((s for s in same if self._behaves_like(s)), None))
        if self.findings.failing is None:
            return Diagnosed()
        suspect, start = self._follow(singles, _MOST_MISTAKES)
        in_time = time.process_time() < self._end
        return Diagnosed(start.findings, suspect, self.tried, in_time or suspect is not None)

    # --- the search ------------------------------------------------------------------------

    def _follow(self, singles: list[Suspect], most: int) -> tuple[Suspect | None, Comparison]:
        """Add suspects one by one as long as they bring submission and mutant closer."""
        assert self.findings.failing is not None
        trial, style = self.findings.failing
        start = here = self._compare(Suspect(), trial, style)
        current = Suspect()
        for _ in range(most + _CONFIRMING_TRIALS):
            if here.equal:
                contrary = self._contrary(current)
                if contrary is None:
                    return current, start
                # Right on one draw and wrong on another: go on with the one that tells more.
                trial, style = contrary
                here = self._compare(current, trial, style)
            if here.equal or len(current.pitfalls + current.variants) >= most:
                return None, start
            step = self._best_step(current, here, singles, trial, style)
            if step is None or not step[1].equal:
                better = self._realigned(step, here, trial, style)
                step = better or step
            if step is None:
                return None, start
            current, here = step
            self.findings.choices = here.choices
        return None, start

    def _best_step(
        self,
        current: Suspect,
        here: Comparison,
        singles: list[Suspect],
        trial: Trial,
        style: int,
    ) -> tuple[Suspect, Comparison] | None:
        best: tuple[Suspect, Comparison] | None = None
        tiers = _tiers(singles, here)
        for tier in tiers:
            for single in tier:
                if time.process_time() > self._end:
                    return best
                if current.contains(single):
                    continue
                joined = current.joined(single)
                there = self._compare(joined, trial, style)
                if there.equal and there.plain:
                    return joined, there
                if self._closer(there, best[1] if best else here, here):
                    best = joined, there
            if best is not None and best[1].distance.stages < here.distance.stages < _UNKNOWN:
                return best
        return best

    def _compare(self, suspect: Suspect, trial: Trial, style: int) -> Comparison:
        """The submission beside the mutant on the draw of a trial; each asked for once."""
        key = (suspect, trial.seed, style)
        if key not in self._compared:
            self._compared[key] = self._compared_afresh(suspect, trial, style)
        return self._compared[key]

    def _compared_afresh(self, suspect: Suspect, trial: Trial, style: int) -> Comparison:
        mutant = self._mutant(suspect, trial)
        if mutant is None:
            return Comparison(Distance(_UNKNOWN, _UNKNOWN, _UNKNOWN))
        case = self._case(mutant, trial, style)
        found = self._beside(mutant, trial, case, self.findings.choices)
        if found.equal or not suspect.pitfalls:
            return found
        settled = self.findings.choices
        for choices in [replace(settled, siblings=DEFAULT.siblings), DEFAULT]:
            # Against the reference, a softmax over the wrong axis looks like queries and keys
            # exchanged: the layouts settled on may be led astray by the mistake itself.
            if choices == settled:
                continue
            other = self._beside(mutant, trial, case, choices)
            if other.equal or other.distance < found.distance:
                found = other
        return found

    def _realigned(
        self,
        step: tuple[Suspect, Comparison] | None,
        here: Comparison,
        trial: Trial,
        style: int,
    ) -> tuple[Suspect, Comparison] | None:
        """A step that shows only once the layouts are settled against the mutant.

        Where a submission parts from the reference, nothing beyond could be settled; and where
        the parameters did not match, nothing at all.
        """
        best = step
        candidates = [
            (suspect, found)
            for (suspect, seed, at), found in self._compared.items()
            if (seed, at) == (trial.seed, style) and self._worth_aligning(found, here)
        ]
        candidates.sort(key=lambda pair: pair[1].distance)
        for suspect, found in candidates[:_MOST_ALIGNMENTS]:
            mutant = self._mutant(suspect, trial)
            if mutant is None:
                continue
            case = self._case(mutant, trial, style)
            aligned = align(mutant, trial.submission, case, self._stages, found.choices)
            if not isinstance(aligned, Alignment) or aligned.choices == found.choices:
                continue
            there = self._beside(mutant, trial, case, aligned.choices)
            if there.equal and there.plain:
                return suspect, there
            if there.distance < (best[1] if best else here).distance:
                best = suspect, there
        return best

    def _worth_aligning(self, found: Comparison, here: Comparison) -> bool:
        if found.distance.parameters:
            return False
        return bool(here.distance.parameters) or found.distance.stages < here.distance.stages

    def _beside(self, mutant: Traced, trial: Trial, case: Case, choices: Choices) -> Comparison:
        submission = trial.submission
        matched = match(mutant.leaves, submission.leaves, choices)
        if isinstance(matched, Mismatch):
            amount = len(matched.missing) + len(matched.extra)
            return Comparison(Distance(amount, _UNKNOWN, _UNKNOWN), choices=choices)
        expected, seen = mutant.run_recorded(case.weights, case.arrays)
        try:
            outputs, values, lines = submission.record(matched.weights(case.weights), case.arrays)
        except SubmissionError:
            return Comparison(Distance(_UNKNOWN, _UNKNOWN, _UNKNOWN))
        offered = marks(values)
        stages = stage_values(self._stages, seen)
        findings = find_stages(stages, values, lines)
        after = parting(findings)
        missing = int((~found_among(marks([item.value for item in seen]), offered)).sum())
        return Comparison(
            Distance(int(matched.split), len(stages) - after if after is not None else 0, missing),
            all_close(outputs, expected),
            choices,
            not matched.split,
            {m.number: _parted_in(m, stages, findings) for m in self._members},
            tuple(f for stage, f in _own(self.problem, stages, findings)),
        )

    def _closer(self, there: Comparison, than: Comparison, start: Comparison) -> bool:
        """Whether a step leads on: to the right parameters, to a later stage."""
        if there.equal != than.equal:
            return there.equal
        if not there.distance < than.distance:
            return False
        ours, before = there.distance, start.distance
        if self.problem.stages and ours.parameters == before.parameters:
            return ours.stages < before.stages
        return True

    def _contrary(self, suspect: Suspect) -> tuple[Trial, int] | None:
        """A draw and a style of weights with which the submission differs from the mutant."""
        assert self.findings.failing is not None
        failing = self.findings.failing[0]
        others = [trial for trial in self.findings.trials if trial is not failing]
        for trial in [failing, *others[: _CONFIRMING_TRIALS - 1]]:
            mutant = self._mutant(suspect, trial)
            if mutant is None:
                return trial, 0
            style = self._differing_style(mutant, trial)
            if style is not None:
                return trial, style
        return None

    def _differing_style(self, mutant: Traced, trial: Trial) -> int | None:
        """The first style of weights for which the two do not agree."""
        matched = match(mutant.leaves, trial.submission.leaves, self.findings.choices)
        if isinstance(matched, Mismatch):
            return 0
        cases = [self._case(mutant, trial, style) for style in range(len(STYLES))]
        asked = [trial.submission.start_run(matched.weights(c.weights), c.arrays) for c in cases]
        for style, (ticket, case) in enumerate(zip(asked, cases, strict=True)):
            if not all_close(ticket.result()[1], case.expected):
                return style
        return None

    # --- mutants ---------------------------------------------------------------------------

    def _mutant(self, suspect: Suspect, trial: Trial, drawn: bool = False) -> Traced | None:
        """The mutant at a trial's sizes; None when its edits exclude each other or it crashes."""
        self.tried += 1
        try:
            return self._trace(suspect, trial.seed, trial.draw, drawn)
        except Exception:
            return None

    def _trace(self, suspect: Suspect, seed: int, draw: Draw, drawn: bool = False) -> Traced:
        kinds = None if drawn else self.judge.kinds
        number, contract = self.problem.number, self.judge.contract
        return suspect.solutions().trace(number, contract, seed, draw.sizes, kinds)

    def _case(self, mutant: Traced, trial: Trial, style: int) -> Case:
        generator = np.random.default_rng([trial.seed, 50 + style])
        weights = draw_weights(mutant.leaves, generator, STYLES[style])
        arrays = draw_arrays(self.judge.contract, trial.draw.sizes, generator)
        return Case(weights, arrays, mutant.run(weights, arrays))

    # --- crashes and behaviour -------------------------------------------------------------

    def _crashing(self, singles: Iterable[Suspect]) -> Suspect | None:
        """The mistake that crashes with the same exception on the same draw."""
        error = self.findings.error
        if error is None:
            return None
        draw = self.judge.draws[min(len(self.findings.trials), len(self.judge.draws) - 1)]
        for suspect in singles:
            if suspect.check != "runs":
                continue
            self.tried += 1
            try:
                self._trace(suspect, self.judge.seed, draw)
            except EditDoesNotApply:
                continue
            except Exception as crash:
                if _same_error(error, crash):
                    return suspect
        return None

    def _behaves_like(self, suspect: Suspect) -> bool:
        """Whether the mutant fails the same check in the same way, on the first draw."""
        trial = self.findings.trials[0]
        mutant = self._mutant(suspect, trial, drawn=True)
        if mutant is None:
            return False
        if suspect.check == "seed":
            arrays = draw_arrays(self.judge.contract, trial.draw.sizes, np.random.default_rng(0))
            other = self._trace(suspect, trial.seed + 1000, trial.draw, drawn=True)
            pairs = zip(mutant.initial_values(arrays), other.initial_values(arrays), strict=True)
            return all(np.array_equal(a, b) for a, b in pairs)
        return suspect.check == "gradients" and self._same_gradients(mutant, trial)

    def _same_gradients(self, mutant: Traced, trial: Trial) -> bool:
        case = self._case(mutant, trial, 0)
        cotangents = [np.ones(value.shape) for value in case.expected]
        matched = match(mutant.leaves, trial.submission.leaves, self.findings.choices)
        if isinstance(matched, Mismatch):
            return False
        ours = matched.weights(mutant.gradients(case.weights, case.arrays, cotangents))
        weights = matched.weights(case.weights)
        theirs = _gradients_of(trial.submission, weights, case.arrays, cotangents)
        return all_close(theirs, ours, 1e-3)


def _gradients_of(
    submission: RemoteTrace,
    weights: list[np.ndarray],
    arrays: list[np.ndarray],
    cotangents: list[np.ndarray],
) -> list[np.ndarray]:
    return submission.start_gradients(weights, arrays, cotangents).result()[1]


def _own(
    problem: Problem, stages: Sequence[StageValue], findings: Sequence[StageFinding]
) -> list[tuple[StageValue, StageFinding]]:
    """The stages that this problem declares, each with what was found of it."""
    names = {stage.name for stage in problem.stages}
    return [pair for pair in zip(stages, findings, strict=True) if pair[0].name in names]


def _parted_in(
    problem: Problem, stages: Sequence[StageValue], findings: Sequence[StageFinding]
) -> str | None:
    """Where the two part, in terms of the stages of one of the problems involved."""
    own = _own(problem, stages, findings)
    after = parting([finding for _, finding in own])
    return None if after is None else own[after][0].name


def _tiers(singles: list[Suspect], here: Comparison) -> list[list[Suspect]]:
    """Suspects that show where the two part; then those of no stage; then the rest."""
    at = [s for s in singles if s.stage is not None and s.stage == here.parted.get(s.owner)]
    if here.distance.stages == _UNKNOWN:  # no stage is known while the parameters do not match
        return [singles]
    nowhere = [s for s in singles if s not in at and s.stage is None]
    rest = [s for s in singles if s not in at and s not in nowhere]
    return [at, nowhere, rest]


def _same_error(told: dict[str, Any], crash: Exception) -> bool:
    if told.get("type") != type(crash).__name__:
        return False
    ours, theirs = str(crash)[:100], str(told.get("message"))[:100]
    return ours == theirs or ours.split("(")[0] == theirs.split("(")[0]

"""Name the mistake: run the known ones and see which gives the submission's numbers.

The search is greedy.  A submission and the reference part at some stage; of the known mistakes
those are tried first that show at that stage, and one that lets the two go together further is
kept, until they agree to the end.  So two or three mistakes at once cost little more than one.
Accepted variants take part like mistakes; an answer that they alone explain passes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from grader.engine.align import Alignment, Case, align
from grader.engine.behaviour import behaving_alike, crashing_alike
from grader.engine.cases import STYLES, draw_arrays, draw_weights
from grader.engine.causes import RANDOM, Cause, cause_of
from grader.engine.compare import all_close
from grader.engine.contract_judge import ContractJudge
from grader.engine.difference import RIGHT_BUT_FOR_SHAPE
from grader.engine.findings import Trial
from grader.engine.remote import RemoteTrace, SubmissionError
from grader.engine.stages import (
    StageValue,
    find_stages,
    found_among,
    marks,
    open_stages,
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
from grader.engine.where import Where, where_they_part
from grader.problem import Problem

_SECONDS = 1.3
_MOST_MISTAKES = 3
_CONFIRMING_TRIALS = 3
_MOST_ALIGNMENTS = 8
_UNKNOWN = 10**6
_AS_IT_IS = Suspect()


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
    found: int = 0  # how many of the mutant's values came up
    choices: Choices = DEFAULT
    plain: bool = True  # whether no table had to be taken apart to pair the parameters
    parted: Mapping[int, str | None] = field(default_factory=dict)  # by problem, in its own stages
    between: frozenset[str] = frozenset()  # stages from the problem's last found to its next

    def further(self, than: Comparison, problem: Problem) -> bool:
        """Whether the parameters match now, or a later stage of the problem itself came up."""
        if than.distance.parameters:
            return self.distance.parameters == 0
        mine, other = (c.parted.get(problem.number) for c in (self, than))
        return self.distance.stages < than.distance.stages < _UNKNOWN and mine != other


@dataclass(frozen=True)
class Record:
    """Everything that came up in a submission for some weights and inputs."""

    outputs: list[np.ndarray]
    values: list[np.ndarray]
    lines: list[int]
    marks: np.ndarray


@dataclass
class Diagnosed:
    """What is known about a failing contract: where it parts, and what explains it.

    ``cause`` is what usually stands behind the exception, when no mistake raises the same one.
    ``tried`` counts the mistakes that were run; ``complete`` is whether there was time for all.
    """

    where: Where | None = None
    suspect: Suspect | None = None
    cause: Cause | None = None
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
        self._records: dict[tuple[Any, ...], Record | None] = {}
        self._seconds = seconds
        self._end = math.inf

    def accepted_variant(self) -> Suspect | None:
        """The accepted variants that together give the submission's numbers, if any do.

        This decides whether a right answer passes, so it takes the time that it needs.
        """
        if self.findings.failed != "numbers":
            return None
        return self._follow(variant_suspects(self.problem), 4)

    def diagnose(self) -> Diagnosed:
        """Where the two part, and the mistakes that explain the submission."""
        self._end = time.process_time() + self._seconds
        singles = single_suspects(self.problem, self.findings.failed)
        if self.findings.error is not None:
            suspect = crashing_alike(self.judge, singles)
            cause = None if suspect else cause_of(self.findings.error)
            return Diagnosed(suspect=suspect, cause=cause)
        if self.findings.failing is None:
            return Diagnosed(suspect=behaving_alike(self.judge, singles))
        where = self._where()
        trial, style = self.findings.failing
        drawn = trial.submission.random_line is not None and trial.reference.random_line is None
        if drawn and self.findings.failed != "parameters":
            return Diagnosed(where, None, RANDOM)
        if where and where.difference and where.difference.words.startswith(RIGHT_BUT_FOR_SHAPE):
            return Diagnosed(where)
        accepted = self._variants_that_lead_on(trial, style)
        suspect = self._follow(singles, _MOST_MISTAKES, accepted)
        if suspect is None and accepted.variants:
            suspect = self._follow(singles, _MOST_MISTAKES)
        in_time = suspect is not None or time.process_time() < self._end
        cause = RANDOM if drawn and suspect is None else None
        return Diagnosed(where, suspect, cause, self.tried, in_time)

    def _where(self) -> Where | None:
        assert self.findings.failing is not None
        trial, style = self.findings.failing
        case = self._case(trial.reference, trial, style)
        try:
            if self.findings.failed == "shape":  # nothing was run yet: the layouts are not settled
                aligned = align(trial.reference, trial.submission, case, self._stages)
                if isinstance(aligned, Alignment):
                    self.findings.choices = aligned.choices
            return where_they_part(self.problem, self._stages, trial, case, self.findings.choices)
        except SubmissionError:
            return None

    # --- the search ------------------------------------------------------------------------

    def _variants_that_lead_on(self, trial: Trial, style: int) -> Suspect:
        """Accepted variants with which more of the values come up: they are not the mistake."""
        current = Suspect()
        here = self._compare(current, trial, style)
        for variant in variant_suspects(self.problem):
            there = self._compare(current.joined(variant), trial, style)
            if there.found > here.found and not there.distance.parameters:
                current, here = current.joined(variant), there
        return current

    def _follow(
        self, singles: list[Suspect], most: int, current: Suspect = _AS_IT_IS
    ) -> Suspect | None:
        """Add suspects one by one as long as they bring submission and mutant closer."""
        assert self.findings.failing is not None
        trial, style = self.findings.failing
        here = self._compare(current, trial, style)
        most += len(current.variants)
        for _ in range(most + _CONFIRMING_TRIALS):
            if here.equal:
                contrary = self._contrary(current)
                if contrary is None:
                    return current
                # Right on one draw and wrong on another: go on with the one that tells more.
                trial, style = contrary
                here = self._compare(current, trial, style)
            if here.equal or len(current.pitfalls + current.variants) >= most:
                return None
            step = self._best_step(current, here, singles, trial, style)
            if step is None or not step[1].equal:
                better = self._realigned(step, here, trial, style)
                step = better or step
            if step is None:
                return None
            current, here = step
            self.findings.choices = here.choices
        return None

    def _best_step(
        self,
        current: Suspect,
        here: Comparison,
        singles: list[Suspect],
        trial: Trial,
        style: int,
    ) -> tuple[Suspect, Comparison] | None:
        """The suspect that explains most when added, those first that show where the two part.

        Several may give the submission's outputs (a causal mask and tokens that attend to
        themselves alone, where only row 0 is read); the one whose values on the way come up in
        the submission is the one that was made.
        """
        best: tuple[Suspect, Comparison] | None = None
        for tier in _tiers(singles, here):
            equal: tuple[Suspect, Comparison] | None = None
            for single in tier:
                if time.process_time() > self._end:
                    return equal or best
                if current.contains(single):
                    continue
                joined = current.joined(single)
                there = self._compare(joined, trial, style)
                if there.equal and there.plain:
                    if not there.distance.values:
                        return joined, there
                    if equal is None or there.distance < equal[1].distance:
                        equal = joined, there
                elif self._closer(there, best[1] if best else here, here):
                    best = joined, there
            if equal is not None:
                return equal
            if best is not None and best[1].further(here, self.problem):
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
        record = self._recorded(submission, matched.weights(case.weights), case.arrays)
        if record is None:
            return Comparison(Distance(_UNKNOWN, _UNKNOWN, _UNKNOWN))
        outputs = record.outputs
        stages = stage_values(self._stages, seen, mutant.stage_ancestors)
        findings = find_stages(stages, record.values, record.lines, record.marks)
        still_open = open_stages(stages, findings)
        found = found_among(marks([item.value for item in seen]), record.marks)
        return Comparison(
            Distance(int(matched.split), _left(stages, still_open), int((~found).sum())),
            all_close(outputs, expected),
            int(found.sum()),
            choices,
            not matched.split,
            {m.number: _parted_in(m, stages, still_open) for m in self._members},
            _between(self.problem, stages, still_open),
        )

    def _recorded(
        self, submission: RemoteTrace, weights: list[np.ndarray], arrays: list[np.ndarray]
    ) -> Record | None:
        """The submission's values for these weights; mutants with equal parameters share them."""
        key = (submission.id, *(value.tobytes() for value in (*weights, *arrays)))
        if key not in self._records:
            try:
                outputs, values, lines = submission.record(weights, arrays)
            except SubmissionError:
                self._records[key] = None
            else:
                self._records[key] = Record(outputs, values, lines, marks(values))
        return self._records[key]

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

    def _mutant(self, suspect: Suspect, trial: Trial) -> Traced | None:
        """The mutant at a trial's sizes; None when its edits exclude each other or it crashes."""
        self.tried += 1
        number, contract = self.problem.number, self.judge.contract
        try:
            solutions = suspect.solutions()
            return solutions.trace(number, contract, trial.seed, trial.draw.sizes, self.judge.kinds)
        except Exception:
            return None

    def _case(self, mutant: Traced, trial: Trial, style: int) -> Case:
        generator = np.random.default_rng([trial.seed, 50 + style])
        weights = draw_weights(mutant.leaves, generator, STYLES[style])
        arrays = draw_arrays(self.judge.contract, trial.draw.sizes, generator)
        return Case(weights, arrays, mutant.run(weights, arrays))


def _left(stages: Sequence[StageValue], still_open: Sequence[int]) -> int:
    """How many stages there are from where the two part to the end."""
    return len(stages) - still_open[0] if still_open else 0


def _own(problem: Problem, stages: Sequence[StageValue]) -> list[int]:
    """Places of the stages that this problem itself declares."""
    names = {stage.name for stage in problem.stages}
    return [i for i, stage in enumerate(stages) if stage.name in names]


def _parted_in(
    problem: Problem, stages: Sequence[StageValue], still_open: Sequence[int]
) -> str | None:
    """Where the two part, in terms of the stages of one of the problems involved."""
    own = _own(problem, stages)
    return next((stages[i].name for i in still_open if i in own), None)


def _tiers(singles: list[Suspect], here: Comparison) -> list[list[Suspect]]:
    """Suspects that show where the two part; those between there and the last stage of the
    problem itself that came up; those of no stage; the rest.
    """
    if here.distance.stages == _UNKNOWN:  # no stage is known while the parameters do not match
        about = [s for s in singles if s.check == "parameters"]
        return [about, [s for s in singles if s not in about]]
    at = [s for s in singles if s.stage is not None and s.stage == here.parted.get(s.owner)]
    near = [s for s in singles if s not in at and s.stage in here.between]
    nowhere = [s for s in singles if s.stage is None]
    rest = [s for s in singles if s not in at and s not in near and s not in nowhere]
    return [at, near, nowhere, rest]


def _between(
    problem: Problem, stages: Sequence[StageValue], still_open: Sequence[int]
) -> frozenset[str]:
    """Names of the stages that lead to where the two part in terms of the problem itself."""
    own = _own(problem, stages)
    after = next((i for i in own if i in still_open), None)
    if after is None:
        return frozenset()
    first = max((i + 1 for i in own if i < after), default=0)
    return frozenset(stage.name for stage in stages[first : after + 1])

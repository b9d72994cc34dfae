"""A submission beside a mutant of the reference, on one draw: how far the two go together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from grader.engine.align import Alignment, Case, align
from grader.engine.cases import ALL_STYLES, STYLES, draw_arrays, draw_weights
from grader.engine.compare import all_close
from grader.engine.contract_judge import ContractJudge
from grader.engine.distance import UNKNOWN, Apart, Comparison, Distance
from grader.engine.findings import Trial
from grader.engine.layout import Leaf
from grader.engine.pairing import DEFAULT, Choices
from grader.engine.remote import SubmissionError
from grader.engine.remote_trace import RemoteTrace
from grader.engine.stage_places import between, left, parted_in
from grader.engine.stages import (
    StageValue,
    find_stages,
    found_among,
    marks,
    open_stages,
    stage_values,
)
from grader.engine.suspects import AS_IT_IS, Suspect, family_of, stages_of
from grader.engine.traced import Traced
from grader.engine.transplant import Mismatch, match


@dataclass(frozen=True)
class Record:
    """Everything that came up in a submission for some weights and inputs."""

    outputs: list[np.ndarray]
    values: list[np.ndarray]
    lines: list[int]
    marks: np.ndarray


@dataclass(frozen=True)
class _Values:
    """Everything that came up in a mutant for its weights and inputs."""

    leaves: list[Leaf]
    case: Case
    stages: list[StageValue]
    marks: np.ndarray


class Comparer:
    """Compares one failing submission with mutants of the reference, each on a draw once.

    Attributes:
      stages: those of the problem and of its blocks.
      tried: how many mutants were run.

    """

    def __init__(self, judge: ContractJudge) -> None:
        self.judge = judge
        self.findings = judge.findings
        self.problem = judge.problem
        self.stages = stages_of(self.problem)
        self.tried = 0
        self._members = family_of(self.problem)
        self._compared: dict[tuple[Suspect, int, int], Comparison] = {}
        self._records: dict[tuple[Any, ...], Record | None] = {}
        self._aligned: set[tuple[Suspect, int, int]] = set()
        self._sizes: dict[tuple[Suspect, int], Counter[int]] = {}

    def compare(self, suspect: Suspect, trial: Trial, style: int) -> Comparison:
        """The submission beside the mutant on the draw of a trial; each asked for once."""
        key = (suspect, trial.seed, style)
        if key not in self._compared:
            self._compared[key] = self._compared_afresh(suspect, trial, style)
        return self._compared[key]

    def _compared_afresh(self, suspect: Suspect, trial: Trial, style: int) -> Comparison:
        mutant = self._mutant(suspect, trial)
        if mutant is None:
            return Comparison(Distance(UNKNOWN, UNKNOWN, UNKNOWN))
        ours = self._values_of(mutant, trial, style)
        found = self._beside(ours, trial, self.findings.choices)
        if found.equal or not suspect.pitfalls:
            return found
        settled = self.findings.choices
        # Against the reference, a softmax over the wrong axis looks like queries and keys
        # exchanged: the layouts settled on may be led astray by the mistake itself.
        others = [
            replace(settled, siblings=_exchanged(settled.siblings)),
            replace(settled, siblings=DEFAULT.siblings),
            DEFAULT,
        ]
        for choices in dict.fromkeys(choices for choices in others if choices != settled):
            other = self._beside(ours, trial, choices)
            if other.equal or other.distance < found.distance:
                found = other
        return found

    def realigned(
        self, suspect: Suspect, found: Comparison, trial: Trial, style: int
    ) -> Comparison | None:
        """A comparison once more, with the layouts settled against the mutant; None if no better.

        Where a submission parts from the reference, nothing beyond could be settled; and where
        the parameters did not match, nothing at all.  Each is asked for once.
        """
        key = (suspect, trial.seed, style)
        mutant = None if key in self._aligned else self._mutant(suspect, trial)
        if mutant is None:
            return None
        self._aligned.add(key)
        ours = self._values_of(mutant, trial, style)
        case, thorough = ours.case, self.judge.thorough
        aligned = align(mutant, trial.submission, case, self.stages, found.choices, thorough)
        if not isinstance(aligned, Alignment) or aligned.choices == found.choices:
            return None
        there = self._beside(ours, trial, aligned.choices)
        return there if there.equal or there.distance < found.distance else None

    def _values_of(self, mutant: Traced, trial: Trial, style: int) -> _Values:
        """What comes up in a mutant, for as many ways to pair it as are tried."""
        weights, arrays = self._drawn(mutant, trial, style)
        outputs, seen = mutant.run_recorded(weights, arrays)
        stages = stage_values(self.stages, seen, mutant.stage_ancestors)
        case = Case(weights, arrays, outputs)
        return _Values(mutant.leaves, case, stages, marks([item.value for item in seen]))

    def _beside(self, ours: _Values, trial: Trial, choices: Choices) -> Comparison:
        submission, case, stages = trial.submission, ours.case, ours.stages
        matched = match(ours.leaves, submission.pairable, choices)
        if isinstance(matched, Mismatch):
            amount = len(matched.missing) + len(matched.extra)
            apart = _sizes_apart(ours.leaves, submission.pairable)
            distance = Distance(amount, UNKNOWN, UNKNOWN)
            return Comparison(distance, found=-apart, choices=choices)
        record = self._recorded(submission, matched.weights(case.weights), case.arrays)
        if record is None:
            return Comparison(Distance(UNKNOWN, UNKNOWN, UNKNOWN))
        findings = find_stages(stages, record.values, record.lines, record.marks)
        still_open = open_stages(stages, findings)
        found = found_among(ours.marks, record.marks)
        return Comparison(
            Distance(int(matched.split), left(stages, still_open), int((~found).sum())),
            all_close(record.outputs, case.expected),
            int(found.sum()),
            choices,
            not matched.split,
            {m.number: parted_in(m, stages, still_open) for m in self._members},
            between(self.problem, stages, still_open),
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

    def contrary(self, suspect: Suspect) -> tuple[Trial, int] | None:
        """A draw and a style of weights with which the submission differs from the mutant."""
        for trial in self._confirming():
            mutant = self._mutant(suspect, trial)
            if mutant is None:
                return trial, 0
            style = self._differing_style(mutant, trial)
            if style is not None:
                return trial, style
        return None

    def _confirming(self) -> list[Trial]:
        """Draws that tell mistakes apart: some of those that fail, and all that are right."""
        assert self.findings.failing is not None
        failing = self.findings.failing[0]
        others = [t for t in self.findings.trials if t is not failing and t.draw.tells]
        largest = sorted(others, key=lambda trial: trial.draw.plainness)[-1:]
        right = filter(self._is_right, self.findings.trials)
        chosen = {id(trial): trial for trial in [failing, *others[:1], *largest, *right]}
        return list(chosen.values())

    def _is_right(self, trial: Trial) -> bool:
        """Whether the submission is right on a draw, and paired there as on the others."""
        if not trial.actual or not trial.equal:
            return False
        choices = self.findings.choices
        return match(trial.reference.leaves, trial.submission.pairable, choices) == trial.matched

    def _differing_style(self, mutant: Traced, trial: Trial) -> int | None:
        """The first style of weights for which the two do not agree."""
        matched = match(mutant.leaves, trial.submission.pairable, self.findings.choices)
        if isinstance(matched, Mismatch):
            return 0
        cases = [self.case(mutant, trial, style) for style in range(len(STYLES))]
        asked = [trial.submission.start_run(matched.weights(c.weights), c.arrays) for c in cases]
        for style, (ticket, case) in enumerate(zip(asked, cases, strict=True)):
            if not all_close(ticket.result()[1], case.expected):
                return style
        return None

    def _mutant(self, suspect: Suspect, trial: Trial) -> Traced | None:
        """The mutant at a trial's sizes; None when its edits exclude each other or it crashes."""
        self.tried += 1
        number, contract = self.problem.number, self.judge.contract
        try:
            solutions = suspect.solutions()
            return solutions.trace(number, contract, trial.seed, trial.draw.sizes, self.judge.kinds)
        except Exception:
            return None

    def pairable(self, suspect: Suspect, trial: Trial) -> list[Leaf]:
        """The reference's parameters, each used when and for what the mutant uses it.

        As the reference uses them, where the mutant creates others.
        """
        ours = trial.reference.leaves
        mutant = self._mutant(suspect, trial) if suspect.parts() else None
        if mutant is None or _created(ours) != _created(mutant.leaves):
            return ours
        theirs = {leaf.path: leaf for leaf in mutant.leaves}
        return [replace(theirs[leaf.path], index=leaf.index) for leaf in ours]

    def parameters_apart(self, suspects: Iterable[Suspect], trial: Trial) -> Apart:
        """How far the parameters of the submission are from those of a mutant, as can be foreseen
        from what each suspect alone adds to the reference: quicker than to compare the two.
        """
        apart = Counter(leaf.size for leaf in trial.submission.pairable)
        apart.subtract(self._created(AS_IT_IS, trial))
        for suspect in suspects:
            apart.subtract(self._added(suspect, trial))
        numbers = sum(size * count for size, count in apart.items())
        return Apart(abs(numbers), sum(map(abs, apart.values())))

    def _added(self, suspect: Suspect, trial: Trial) -> Counter[int]:
        """The sizes of the parameters that a suspect adds; a negative count where it takes away."""
        if suspect.check != "parameters":
            return Counter()
        added = Counter(self._created(suspect, trial))
        added.subtract(self._created(AS_IT_IS, trial))
        return added

    def _created(self, suspect: Suspect, trial: Trial) -> Counter[int]:
        key = (suspect, trial.seed)
        if key not in self._sizes:
            number, contract = self.problem.number, self.judge.contract
            try:
                solutions = suspect.solutions()
                created = solutions.created(number, contract, trial.seed, trial.draw.sizes)
            except Exception:
                created = Counter()
            self._sizes[key] = created
        return self._sizes[key]

    def case(self, mutant: Traced, trial: Trial, style: int) -> Case:
        """Weights and inputs for a trial, and what the mutant makes of them."""
        weights, arrays = self._drawn(mutant, trial, style)
        return Case(weights, arrays, mutant.run(weights, arrays))

    def _drawn(
        self, mutant: Traced, trial: Trial, style: int
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        generator = np.random.default_rng([trial.seed, 50 + style])
        weights = draw_weights(mutant.leaves, generator, ALL_STYLES[style])
        sizes = trial.draw.sizes
        return weights, draw_arrays(self.judge.contract, sizes, generator, ALL_STYLES[style])


def _created(leaves: Iterable[Leaf]) -> set[tuple[str, tuple[int, ...]]]:
    return {(leaf.path, leaf.shape) for leaf in leaves}


def _exchanged(siblings: tuple[int, ...]) -> tuple[int, ...]:
    """Queries taken for keys and keys for queries."""
    return tuple({0: 1, 1: 0}.get(which, which) for which in siblings)


def _sizes_apart(one: Sequence[Leaf], other: Sequence[Leaf]) -> int:
    """How many parameters of either have no counterpart of the same size and role."""
    ours, theirs = (Counter((leaf.size, leaf.role) for leaf in leaves) for leaves in (one, other))
    return ((ours - theirs) + (theirs - ours)).total()

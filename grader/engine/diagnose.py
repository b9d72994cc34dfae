"""Say what is wrong with a failing submission: which known mistake, and where it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from grader.engine.align import Alignment, align
from grader.engine.behaviour import behaving_alike, crashing_alike
from grader.engine.causes import Cause
from grader.engine.comparison import Comparer
from grader.engine.contract_judge import ContractJudge
from grader.engine.difference import RIGHT_BUT_FOR_SHAPE
from grader.engine.known_causes import KEPT, NOT_LINEN, RANDOM, cause_of
from grader.engine.layout import Leaf
from grader.engine.patience import Patience
from grader.engine.remote import SubmissionError
from grader.engine.search import Search
from grader.engine.shape_check import cause_is_told
from grader.engine.suspects import AS_IT_IS, Suspect, single_suspects, variant_suspects
from grader.engine.tables import in_use_order
from grader.engine.where import Where, where_they_part

SECONDS = 1.5
"""Of processor time, for the search; `Patience` tells what a slow machine gets."""
_MOST_MISTAKES = 3
_MOST_VARIANTS = 4


@dataclass
class Diagnosed:
    """What is known about a failing contract: where it parts, and what explains it.

    ``cause`` is what usually stands behind the exception, when no mistake raises the same one.
    ``searched`` is whether mistakes were looked for by the numbers that they give; ``tried``
    counts those that were run, and ``late`` is whether the time was up before all were.
    """

    where: Where | None = None
    suspect: Suspect | None = None
    cause: Cause | None = None
    searched: bool = False
    tried: int = 0
    late: bool = False


class Diagnostician:
    """Explains one failing contract of a submission.

    Args:
      judge: what was found.
      known: mistakes that explain other functions of the same submission.

    Attributes:
      leading: accepted variants of which values come up in the submission.

    """

    def __init__(self, judge: ContractJudge, known: Suspect = AS_IT_IS) -> None:
        self.judge = judge
        self.findings = judge.findings
        self.problem = judge.problem
        self._comparer = Comparer(judge)
        self._known = known
        self.leading = AS_IT_IS

    def accepted_variant(self) -> Suspect | None:
        """The accepted variants that together give the submission's numbers, if any do.

        This decides whether a right answer passes, so it takes the time that it needs.
        """
        if self.findings.failed != "numbers":
            return None
        search = Search(self._comparer)
        variants = variant_suspects(self.problem)
        self.leading = search.variants_that_lead_on()
        if self.leading.variants:
            found = search.follow_the_best(variants, _MOST_VARIANTS, self.leading)
            if found is not None:
                return found
        return search.follow_the_best(variants, _MOST_VARIANTS)

    def diagnose(self) -> Diagnosed:
        """Where the two part, and the mistakes that explain the submission."""
        search = Search(self._comparer, Patience(self._comparer, SECONDS))
        function = self.judge.contract.function
        singles = single_suspects(self.problem, self.findings.failed, function)
        if self._is_kept():
            return Diagnosed(cause=KEPT)
        if self.findings.error is not None:
            suspect = crashing_alike(self.judge, singles)
            cause = None if suspect else cause_of(self.findings.error)
            return Diagnosed(suspect=suspect, cause=cause)
        if self.findings.failing is None:
            return Diagnosed(suspect=behaving_alike(self.judge, singles))
        where = self._where()
        trial, _ = self.findings.failing
        drawn = trial.submission.random_line is not None and trial.reference.random_line is None
        if drawn and not trial.submission.leaves and trial.reference.leaves:
            return Diagnosed(where, None, NOT_LINEN)
        if drawn and self.findings.failed != "parameters":
            return Diagnosed(where, None, RANDOM)
        if where and where.difference and where.difference.words.startswith(RIGHT_BUT_FOR_SHAPE):
            return Diagnosed(where)
        settled = self.findings.choices
        suspect = self._found_by(search, singles)
        if suspect is None:
            self.findings.choices = settled
        elif self.findings.choices != settled or not self._used_alike(suspect):
            where = self._where(suspect)  # the mistake had led the pairing astray
        late = suspect is None and search.patience.over()
        cause = RANDOM if drawn and suspect is None else None
        told = self.findings.failed == "shape" and cause_is_told(trial)
        if told and where:
            where = replace(where, follows=False)
        return Diagnosed(where, suspect, cause, not told, self._comparer.tried, late)

    def _is_kept(self) -> bool:
        """Whether the exception came of a call that had given a result before.

        So it is, too, where an array would not become NumPy's in a file that does not use NumPy.
        """
        error = self.findings.error
        if error is None or not KEPT.explains(error):
            return False
        no_numpy = error["type"] == "TracerArrayConversionError" and not error.get("numpy")
        return no_numpy or self.findings.failed in ("repeats", "seed")

    def _found_by(self, search: Search, singles: list[Suspect]) -> Suspect | None:
        """The mistakes: those of other functions first, then all, then pairs at one stage."""
        found = None
        if self._known.pitfalls and search.leads_on(self._known):
            found = search.follow(singles, _MOST_MISTAKES, self._known)
        accepted = search.variants_that_lead_on()
        found = found or search.follow(singles, _MOST_MISTAKES, accepted)
        if found is None and accepted.variants:
            found = search.follow(singles, _MOST_MISTAKES)
        return found or search.pair_at_one_stage(singles)

    def _used_alike(self, suspect: Suspect) -> bool:
        """Whether a mistake leaves the order in which the parameters are used."""
        assert self.findings.failing is not None
        trial = self.findings.failing[0]
        ours, theirs = trial.reference.leaves, self._comparer.pairable(suspect, trial)
        return _in_order_of_use(ours) == _in_order_of_use(theirs)

    def _where(self, suspect: Suspect = AS_IT_IS) -> Where | None:
        assert self.findings.failing is not None
        trial, style = self.findings.failing
        stages, drawn = self._comparer.stages, style < len(trial.cases)
        case = trial.cases[style] if drawn else self._comparer.case(trial.reference, trial, style)
        try:
            if self.findings.failed == "shape":  # nothing was run yet: the layouts are not settled
                aligned = align(trial.reference, trial.submission, case, stages)
                if isinstance(aligned, Alignment):
                    self.findings.choices = aligned.choices
            leaves = self._comparer.pairable(suspect, trial)
            return where_they_part(self.problem, stages, trial, case, self.findings.choices, leaves)
        except SubmissionError:
            return None


def _in_order_of_use(leaves: Sequence[Leaf]) -> list[str]:
    return [leaf.path for leaf in sorted(leaves, key=in_use_order)]

"""Which suspects to look at first: groups, the most likely ones in front."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

from grader.engine.comparison import Comparer
from grader.engine.distance import Apart, Comparison
from grader.engine.findings import Trial
from grader.engine.patience import Patience
from grader.engine.suspects import Suspect


def at_stages(singles: list[Suspect], here: Comparison) -> list[list[Suspect]]:
    """Suspects that show where the two part; those between there and the last stage of the
    problem itself that came up; those of no stage; the rest.
    """
    at = [s for s in singles if s.stage is not None and s.stage == here.parted.get(s.owner)]
    near = [s for s in singles if s not in at and s.stage in here.between]
    nowhere = [s for s in singles if s.stage is None]
    rest = [s for s in singles if s not in at and s not in near and s not in nowhere]
    return [at, near, nowhere, rest]


def by_parameters(
    comparer: Comparer,
    creating: list[Suspect],
    current: Suspect,
    trial: Trial,
    room: int,
    patience: Patience,
) -> Sequence[Iterable[Suspect]]:
    """Groups for a submission whose parameters do not match yet.

    What a mutant creates is foreseen before it is traced: first come those with which as many
    numbers are created as the submission has, then pairs that do so together, then those that
    come nearer.

    Args:
      comparer: foresees what is created.
      creating: the suspects that change parameters; only they can help.
      current: what is suspected already.
      trial: the draw that is looked at.
      room: how many suspects may be added.
      patience: says when the search has to end.

    """
    parts = current.parts()
    before = comparer.parameters_apart(parts, trial)
    foreseen: dict[Suspect, Apart] = {}

    def alone() -> Iterator[Suspect]:
        for single in creating:
            if patience.over():
                return
            if not current.contains(single):
                apart = comparer.parameters_apart([*parts, single], trial)
                foreseen[single] = apart
                if not apart.numbers:
                    yield single

    def together(arrays_too: bool) -> Iterator[Suspect]:
        fitting = []
        for both in combinations(foreseen, 2) if room > 1 else ():
            apart = comparer.parameters_apart([*parts, *both], trial)
            if not apart.numbers and (not apart.arrays) is arrays_too:
                fitting.append((apart, both))
        for _, (one, other) in sorted(fitting, key=lambda pair: pair[0]):
            yield one.joined(other)

    def others(nearer: bool) -> Iterator[Suspect]:
        for single, apart in sorted(foreseen.items(), key=lambda pair: pair[1]):
            if apart.numbers and (apart < before) is nearer:
                yield single

    return [alone(), together(True), together(False), others(True), others(False)]

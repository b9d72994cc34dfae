"""Search for the known mistakes that, made together, give the submission's numbers.

A submission and the reference part at some stage; of the known mistakes those are tried first
that show at that stage, and the few that let the two go together furthest are followed, until
they agree to the end.  So two or three mistakes at once cost little more than one.  Accepted
variants take part like mistakes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from grader.engine.comparison import UNKNOWN, Apart, Comparer, Comparison, Distance
from grader.engine.findings import Trial
from grader.engine.suspects import AS_IT_IS, Suspect, variant_suspects

_ALTERNATIVES = 3
_CONFIRMING_STEPS = 3

Step = tuple[Suspect, Comparison]
"""Something added to what is suspected, and where that leads."""


@dataclass(frozen=True)
class _State:
    """How far the search has come, and the draw and style of weights that it looks at."""

    suspect: Suspect
    found: Comparison
    trial: Trial
    style: int

    def order(self) -> tuple[bool, Distance, int]:
        """The smaller, the more promising."""
        return self.found.order()


class Search:
    """One search; ``end`` is the processor time at which it gives up."""

    def __init__(self, comparer: Comparer, end: float = math.inf) -> None:
        self.comparer = comparer
        self.findings = comparer.findings
        self.problem = comparer.problem
        self.end = end

    @property
    def _failing(self) -> tuple[Trial, int]:
        assert self.findings.failing is not None
        return self.findings.failing

    def variants_that_lead_on(self) -> Suspect:
        """Accepted variants with which more of the values come up: they are not the mistake."""
        trial, style = self._failing
        current = Suspect()
        here = self.comparer.compare(current, trial, style)
        if here.distance.parameters:
            return current  # a variant creates what the reference creates
        for variant in variant_suspects(self.problem):
            there = self.comparer.compare(current.joined(variant), trial, style)
            if there.found > here.found and there.distance < here.distance:
                current, here = current.joined(variant), there
        return current

    def leads_on(self, suspect: Suspect) -> bool:
        """Whether the submission is closer to a mutant than to the reference."""
        here, there = (self.comparer.compare(s, *self._failing) for s in (AS_IT_IS, suspect))
        return there.leads_on_from(here)

    def follow(
        self,
        singles: list[Suspect],
        most: int,
        current: Suspect = AS_IT_IS,
        width: int = _ALTERNATIVES,
    ) -> Suspect | None:
        """Add suspects one by one as long as they bring submission and mutant closer.

        Of all that can be added, the ``width`` best are followed further, so that two mistakes
        are looked for everywhere before three are; in each of them where the two part first, and
        elsewhere only when none is found there.
        """
        trial, style = self._failing
        frontier = [_State(current, self.comparer.compare(current, trial, style), trial, style)]
        if frontier[0].found.equal and self._confirmed(frontier[0]) is None:
            return current
        for _ in range(most + _CONFIRMING_STEPS):
            reached: list[_State] = []
            for steps in self._in_turns(frontier, singles, most + len(current.variants)):
                for step in steps:
                    contrary = step
                    if step.found.equal:
                        self.findings.choices = step.found.choices
                        differing = self._confirmed(step)
                        if differing is None:
                            return step.suspect
                        contrary = differing
                    if all(not other.suspect.same(step.suspect) for other in reached):
                        reached.append(contrary)
            if not reached or time.process_time() > self.end:
                return None
            frontier = sorted(reached, key=_State.order)[:width]
        return None

    def _confirmed(self, state: _State) -> _State | None:
        """None when all draws agree; else the same suspect on a draw that tells more."""
        contrary = self.comparer.contrary(state.suspect)
        if contrary is None:
            return None
        return _State(state.suspect, self.comparer.compare(state.suspect, *contrary), *contrary)

    def _in_turns(
        self, states: list[_State], singles: list[Suspect], most: int
    ) -> Iterator[list[_State]]:
        """For each state those that one more suspect leads to; the states take turns."""
        looking = [
            (state, self._steps(state, singles, most))
            for state in states
            if len(state.suspect.parts()) < most
        ]
        while looking:
            for turn in list(looking):
                state, walk = turn
                self.findings.choices = state.found.choices
                steps = next(walk)
                if steps is not None:
                    looking.remove(turn)
                    yield self._following(state, steps)

    def _following(self, state: _State, steps: list[Step]) -> list[_State]:
        """The states that these steps lead to, the best first."""
        trial, style = state.trial, state.style
        if not steps or not steps[0][1].equal:
            better = self.comparer.realigned(next(iter(steps), None), state.found, trial, style)
            if better is not None and better not in steps:
                steps = [better, *steps]
        return [_State(suspect, found, trial, style) for suspect, found in steps]

    def pair_at_one_stage(self, singles: list[Suspect]) -> Suspect | None:
        """Two mistakes at the stage where the two part, of which neither alone leads on."""
        trial, style = self._failing
        here = self.comparer.compare(Suspect(), trial, style)
        if here.distance.parameters:
            return None
        at, near, *_ = _tiers(singles, here)
        for one, other in combinations([*at, *near], 2):
            if time.process_time() > self.end:
                return None
            both = one.joined(other)
            found = self.comparer.compare(both, trial, style)
            if found.equal and found.plain:
                self.findings.choices = found.choices
                if self.comparer.contrary(both) is None:
                    return both
        return None

    def _steps(
        self, state: _State, singles: list[Suspect], most: int
    ) -> Iterator[list[Step] | None]:
        """What can be added to lead on, the best first; None where a group of suspects does not.

        Those are tried first that show where the two part.  Several may give the submission's
        outputs (a causal mask and tokens that attend to themselves alone, where only row 0 is
        read); the one whose values on the way come up in the submission is the one made.
        """
        current, here, trial = state.suspect, state.found, state.trial
        room = most - len(current.parts())
        closer: list[Step] = []
        for tier in self._tiers(singles, here, current, trial, room):
            equal: list[Step] = []
            for single in tier:
                if time.process_time() > self.end:
                    break
                if current.contains(single):
                    continue
                joined = current.joined(single)
                there = self.comparer.compare(joined, trial, state.style)
                if there.equal and there.plain:
                    equal.append((joined, there))
                    if not there.distance.values:
                        break
                elif there.leads_on_from(here):
                    closer.append((joined, there))
            closer.sort(key=lambda step: step[1].order())
            if equal:
                yield [*sorted(equal, key=lambda step: step[1].distance), *closer]
                return
            if closer and closer[0][1].further(here, self.problem):
                yield closer
                return
            yield None
        yield closer

    def _tiers(
        self,
        singles: list[Suspect],
        here: Comparison,
        current: Suspect,
        trial: Trial,
        room: int,
    ) -> Sequence[Iterable[Suspect]]:
        """Suspects in groups, the most likely first.

        While the parameters do not match, what a mutant creates is foreseen before it is traced:
        first come those with which as many numbers are created as the submission has, then pairs
        that do so together, then those that come nearer.
        """
        tiers = _tiers(singles, here)
        if here.distance.stages != UNKNOWN:
            return tiers
        parts = current.parts()
        before = self.comparer.parameters_apart(parts, trial)
        foreseen: dict[Suspect, Apart] = {}

        def alone() -> Iterator[Suspect]:
            for single in tiers[0]:
                if time.process_time() > self.end:
                    return
                if not current.contains(single):
                    apart = self.comparer.parameters_apart([*parts, single], trial)
                    foreseen[single] = apart
                    if not apart.numbers:
                        yield single

        def together(arrays_too: bool) -> Iterator[Suspect]:
            fitting = []
            for both in combinations(foreseen, 2) if room > 1 else ():
                apart = self.comparer.parameters_apart([*parts, *both], trial)
                if not apart.numbers and (not apart.arrays) is arrays_too:
                    fitting.append((apart, both))
            for _, (one, other) in sorted(fitting, key=lambda pair: pair[0]):
                yield one.joined(other)

        def others(nearer: bool) -> Iterator[Suspect]:
            for single, apart in sorted(foreseen.items(), key=lambda pair: pair[1]):
                if apart.numbers and (apart < before) is nearer:
                    yield single

        return [alone(), together(True), together(False), others(True), others(False)]


def _tiers(singles: list[Suspect], here: Comparison) -> list[list[Suspect]]:
    """Suspects that show where the two part; those between there and the last stage of the
    problem itself that came up; those of no stage; the rest.  While the parameters do not match,
    no stage is known, and only what changes parameters can help.
    """
    if here.distance.stages == UNKNOWN:
        return [[s for s in singles if s.check == "parameters"]]
    at = [s for s in singles if s.stage is not None and s.stage == here.parted.get(s.owner)]
    near = [s for s in singles if s not in at and s.stage in here.between]
    nowhere = [s for s in singles if s.stage is None]
    rest = [s for s in singles if s not in at and s not in near and s not in nowhere]
    return [at, near, nowhere, rest]

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
from dataclasses import dataclass, replace
from itertools import combinations, count

from grader.engine.comparison import UNKNOWN, Apart, Comparer, Comparison, Distance
from grader.engine.findings import Trial
from grader.engine.suspects import AS_IT_IS, Suspect, variant_suspects

_ALTERNATIVES = 3
_MOST_ALIGNMENTS = 8
_CONFIRMING_STEPS = 3

_MUCH = 0.75
"""What is left of the values that do not come up, where a look has led on by much."""


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

    def repeats(self, other: _State) -> bool:
        """Whether the other one suspects the same and is at least as promising."""
        return self.suspect.same(other.suspect) and other.order() <= self.order()


@dataclass(eq=False)
class _Walk:
    """A state, and the looks at what can be added to it: each gives the states that it leads to."""

    state: _State
    looks: Iterator[list[_State]]

    def order(self) -> tuple[bool, Distance, int]:
        """The smaller, the more promising."""
        return self.state.order()


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
        self, singles: list[Suspect], most: int, current: Suspect = AS_IT_IS
    ) -> Suspect | None:
        """Add suspects one by one as long as they bring submission and mutant closer.

        The most promising states take turns, a look at a time, the best one most often: what
        leads on by much is followed at once, and where it came from is looked at further.
        """
        start = self._start(current)
        if start is None:
            return current
        walks = [_Walk(start, self._looks(start, singles, most, eager=True))]
        known = [start]
        for turn in count():
            for rank, walk in enumerate(sorted(walks, key=_Walk.order)[:_ALTERNATIVES], start=1):
                if turn % rank:
                    continue
                if time.process_time() > self.end:
                    return None
                self.findings.choices = walk.state.found.choices
                reached = next(walk.looks, None)
                if reached is None:
                    walks.remove(walk)
                for state in reached or ():
                    contrary = self._confirmed(state)
                    if contrary is None:
                        return state.suspect
                    if not any(contrary.repeats(other) for other in known):
                        known.append(contrary)
                        looks = self._looks(contrary, singles, most, eager=True)
                        walks.append(_Walk(contrary, looks))
            if not walks:
                break
        return None

    def follow_the_best(
        self, singles: list[Suspect], most: int, current: Suspect = AS_IT_IS
    ) -> Suspect | None:
        """Like ``follow``, but only ever the one that leads on furthest: soon at an end."""
        state = self._start(current)
        if state is None:
            return current
        for _ in range(most + _CONFIRMING_STEPS):
            looks = self._looks(state, singles, most, eager=False)
            reached = next((some for some in looks if some), [])
            contraries = []
            for one in reached:
                contrary = self._confirmed(one)
                if contrary is None:
                    return one.suspect
                contraries.append(contrary)
            if not contraries:
                return None
            state = min(contraries, key=_State.order)
            self.findings.choices = state.found.choices
        return None

    def _start(self, current: Suspect) -> _State | None:
        """Where a search begins; None when what is suspected already explains everything."""
        trial, style = self._failing
        start = _State(current, self.comparer.compare(current, trial, style), trial, style)
        return self._confirmed(start)

    def _confirmed(self, state: _State) -> _State | None:
        """None when all draws agree; else the state, on a draw that tells more if it was equal."""
        if not state.found.equal:
            return state
        self.findings.choices = state.found.choices
        contrary = self.comparer.contrary(state.suspect)
        if contrary is None:
            return None
        return _State(state.suspect, self.comparer.compare(state.suspect, *contrary), *contrary)

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

    def _looks(
        self, state: _State, singles: list[Suspect], most: int, eager: bool
    ) -> Iterator[list[_State]]:
        """Look at one suspect after the other that can be added: the states that it leads to.

        Those are tried first that show where the two part.  Several may give the submission's
        outputs (a causal mask and tokens that attend to themselves alone, where only row 0 is
        read); the one whose values on the way come up in the submission is the one made.  Who is
        not eager hears the best of a group when all of it was looked at.
        """
        current, here = state.suspect, state.found
        if eager and current.parts():
            better = self._settled([state], here)
            yield better
            if better:
                return
        room = most - len(current.parts())
        closer: list[_State] = []
        for tier in self._tiers(singles, state, room) if room > 0 else ():
            equal: list[_State] = []
            seen: list[_State] = []
            for single in tier:
                if time.process_time() > self.end:
                    return
                if current.contains(single):
                    continue
                joined = current.joined(single)
                there = self.comparer.compare(joined, state.trial, state.style)
                reached = replace(state, suspect=joined, found=there)
                seen.append(reached)
                if there.equal and there.plain:
                    equal.append(reached)
                    if not there.distance.values:
                        break
                elif there.leads_on_from(here):
                    if eager and self._leads_far(there, here):
                        yield [reached]
                        continue
                    closer.append(reached)
                yield []
            equal.sort(key=lambda one: one.found.distance)
            further = [one for one in seen if _is_further(one.found, here)]
            better = [] if equal else self._settled(further, here)
            closer.sort(key=_State.order)
            if equal or better or (closer and closer[0].found.further(here, self.problem)):
                yield [*equal, *better, *closer]
                closer = []
        yield closer

    def _leads_far(self, there: Comparison, here: Comparison) -> bool:
        """Whether a look leads on so far that it is followed at once."""
        if here.distance.parameters:
            return not there.distance.parameters
        if there.further(here, self.problem):
            return True
        return there.distance.values < _MUCH * here.distance.values

    def _settled(self, states: list[_State], here: Comparison) -> list[_State]:
        """The state that leads on furthest once the layouts are settled against its mutant."""
        settled: list[_State] = []
        matching = [state for state in states if not state.found.distance.parameters]
        for state in sorted(matching, key=_State.order)[:_MOST_ALIGNMENTS]:
            found = self.comparer.realigned(state.suspect, state.found, state.trial, state.style)
            if found is not None and found.leads_on_from(here):
                settled.append(replace(state, found=found))
                if found.equal and found.plain:
                    return settled[-1:]
        return sorted(settled, key=_State.order)[:1]

    def _tiers(
        self,
        singles: list[Suspect],
        state: _State,
        room: int,
    ) -> Sequence[Iterable[Suspect]]:
        """Suspects in groups, the most likely first.

        While the parameters do not match, what a mutant creates is foreseen before it is traced:
        first come those with which as many numbers are created as the submission has, then pairs
        that do so together, then those that come nearer.
        """
        current, trial = state.suspect, state.trial
        tiers = _tiers(singles, state.found)
        if state.found.distance.stages != UNKNOWN:
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


def _is_further(there: Comparison, here: Comparison) -> bool:
    """Whether more stages come up, or any are known at all."""
    return bool(here.distance.parameters) or there.distance.stages < here.distance.stages


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

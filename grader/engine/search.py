"""Search for the known mistakes that, made together, give the submission's numbers.

A submission and the reference part at some stage; of the known mistakes those are tried first
that show at that stage, and the few that let the two go together furthest are followed, until
they agree to the end.  So two or three mistakes at once cost little more than one.  Accepted
variants take part like mistakes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, count

from grader.engine.comparison import Comparer
from grader.engine.distance import UNKNOWN, Comparison, Distance
from grader.engine.findings import Trial
from grader.engine.likely import at_stages, by_parameters
from grader.engine.patience import Patience
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


_Looks = Iterator[list[_State] | None]
"""The states that each look leads to; None when a group of suspects was looked at."""


@dataclass(eq=False)
class _Walk:
    """A state, and the looks at what can be added to it."""

    state: _State
    looks: _Looks

    def order(self) -> tuple[bool, Distance, int]:
        """The smaller, the more promising."""
        return self.state.order()


class Search:
    """One search; without ``patience`` it takes the time that it needs."""

    def __init__(self, comparer: Comparer, patience: Patience | None = None) -> None:
        self.comparer = comparer
        self.findings = comparer.findings
        self.problem = comparer.problem
        self.patience = patience or Patience(comparer)

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
            if not walks:
                break
            for rank, walk in enumerate(sorted(walks, key=_Walk.order)[:_ALTERNATIVES], start=1):
                if turn % rank:
                    continue
                self.findings.choices = walk.state.found.choices
                try:
                    reached = next(walk.looks) or ()
                except StopIteration:
                    walks.remove(walk)
                    continue
                for state in reached:
                    contrary = self._confirmed(state)
                    if contrary is None:
                        return self._fewest(state, walks)
                    if not any(contrary.repeats(other) for other in known):
                        known.append(contrary)
                        looks = self._looks(contrary, singles, most, eager=True)
                        walks.append(_Walk(contrary, looks))
        return None

    def _fewest(self, found: _State, walks: list[_Walk]) -> Suspect:
        """What was found, or fewer mistakes that explain the same, in what was begun before."""
        choices = self.findings.choices
        for walk in walks:
            if len(walk.state.suspect.parts()) + 1 < len(found.suspect.parts()):
                self.findings.choices = walk.state.found.choices
                for reached in walk.looks:
                    if reached is None:
                        break
                    for state in reached:
                        if state.found.equal and self._confirmed(state) is None:
                            return state.suspect
        self.findings.choices = choices
        return found.suspect

    def follow_the_best(
        self, singles: list[Suspect], most: int, current: Suspect = AS_IT_IS
    ) -> Suspect | None:
        """Like ``follow``, but only ever the one that leads on furthest: soon at an end."""
        state = self._start(current)
        if state is None:
            return current
        for _ in range(most + _CONFIRMING_STEPS):
            looks = self._looks(state, singles, most, eager=False)
            nothing: list[_State] = []
            reached = next((some for some in looks if some), nothing)
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
        at, near, *_ = at_stages(singles, here)
        for one, other in combinations([*at, *near], 2):
            if self.patience.over():
                return None
            both = one.joined(other)
            found = self.comparer.compare(both, trial, style)
            if found.equal and found.plain:
                self.findings.choices = found.choices
                if self.comparer.contrary(both) is None:
                    return both
        return None

    def _looks(self, state: _State, singles: list[Suspect], most: int, eager: bool) -> _Looks:
        """Look at one suspect after the other that can be added: the states that it leads to.

        Those are tried first that show where the two part.  Several may give the submission's
        outputs (a causal mask and tokens that attend to themselves alone, where only row 0 is
        read); the one whose values on the way come up in the submission is the one made.  Who is
        not eager hears the best of a group when all of it was looked at.
        """
        current, here = state.suspect, state.found
        if current.parts() and not self.patience.over():
            better = self._settled([state], here)
            yield better
            if better:
                return
        room = most - len(current.parts())
        closer: list[_State] = []
        for tier in self._groups(singles, state, room):
            seen: list[_State] = []
            followed: list[_State] = []
            for reached in self._each(tier, state, seen):
                far = eager and self._leads_far(reached.found, here)
                if far and not _explaining(seen, here):
                    followed.append(reached)
                    yield [reached]
                elif not _explaining(seen, here):  # else those that remain in the group come first
                    yield []
            equal = sorted(_explaining(seen, here), key=lambda one: one.found.distance)
            others = [one for one in seen if one not in equal and one not in followed]
            closer += [one for one in others if one.found.leads_on_from(here)]
            closer.sort(key=_State.order)
            further = [one for one in others if _is_further(one.found, here)]
            late = self.patience.over()
            better = [] if equal or late else self._settled(further, here)
            if equal or better or (closer and closer[0].found.further(here, self.problem)):
                yield [*equal, *better, *closer]
                closer = []
            yield None
            if late:
                break
        yield closer

    def _groups(
        self, singles: list[Suspect], state: _State, room: int
    ) -> Sequence[Iterable[Suspect]]:
        """Suspects in groups, the most likely first; none when there is room for no more."""
        if room < 1:
            return ()
        if state.found.distance.stages != UNKNOWN:
            return at_stages(singles, state.found)
        creating = [single for single in singles if single.check == "parameters"]
        return by_parameters(
            self.comparer, creating, state.suspect, state.trial, room, self.patience
        )

    def _each(self, tier: Iterable[Suspect], state: _State, seen: list[_State]) -> Iterator[_State]:
        """Where each suspect of a group leads, as long as there is time and none is sure."""
        for single in tier:
            if self.patience.over():
                return
            if not state.suspect.contains(single):
                joined = state.suspect.joined(single)
                found = self.comparer.compare(joined, state.trial, state.style)
                seen.append(replace(state, suspect=joined, found=found))
                if found.equal and found.plain and not found.distance.values:
                    return
                yield seen[-1]

    def _leads_far(self, there: Comparison, here: Comparison) -> bool:
        """Whether a look leads on so far that it is followed at once."""
        if there.equal or not there.leads_on_from(here):
            return False
        if here.distance.parameters:
            return False
        if here.distance.stages:
            more = there.found > here.found and _is_further(there, here)
            return more or there.further(here, self.problem)
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


def _explaining(states: list[_State], here: Comparison) -> list[_State]:
    """Those that give the submission's outputs, with no more tables taken apart than before."""
    as_plain = [state for state in states if state.found.plain or not here.plain]
    return [state for state in as_plain if state.found.equal]


def _is_further(there: Comparison, here: Comparison) -> bool:
    """Whether more stages come up and no fewer values, or any are known at all."""
    if here.distance.parameters:
        return True
    return there.distance.stages < here.distance.stages and there.found >= here.found

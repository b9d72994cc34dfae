"""The seed decides the parameters: one seed always the same ones, another seed others."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from grader.engine.beginnings import check_initial, constant_starts, drawn_alike, looks_drawn
from grader.engine.cases import draw_arrays, draw_weights
from grader.engine.compare import all_close
from grader.engine.remote import Remote, Ticket
from grader.engine.remote_trace import RemoteTrace
from grader.engine.told import numbers_in

if TYPE_CHECKING:
    from grader.engine.contract_judge import ContractJudge

FAR = 2**16 * 3**2 * 5**3 * 7
"""Seeds that are this far apart agree in their low bits, their last digits and many a remainder."""
_NEAR = (1, 0)
"""Seeds that something special may be done with."""

Values = list[np.ndarray]
Started = list[tuple[int, Values]]
"""The parameters as they start, each time with the seed."""


def far_seed(seed: int) -> int:
    """A large seed for a grading that starts at ``seed``, and no number that a float32 can hold."""
    return (seed + 12_345) % 2**20 + FAR


class Seeds:
    """The submission traced with further seeds, at the simplest draw and at an ample one.

    Attributes:
      near: traces at the simplest draw, by seed.
      far: the trace at the ample draw whose seed is ``FAR`` from the seed there.

    """

    def __init__(self, judge: ContractJudge, helper: Remote) -> None:
        def ask(seed: int, draw: int) -> RemoteTrace:
            sizes = judge.draws[draw].sizes
            id = f"{judge.index}/seed {seed}"
            return RemoteTrace.ask(helper, id, judge.index, seed, sizes, drawn=True)

        self.near = {seed: ask(seed, 0) for seed in _NEAR if seed != judge.seed}
        self.far = ask(far_seed(judge.seed) + FAR, judge.ample)


def check_seed(judge: ContractJudge) -> None:
    """The seed decides the parameters, the same way each time, and nothing else."""
    simple, ample = judge.findings.trials[0], judge.findings.trials[judge.ample]
    generator = np.random.default_rng(judge.seed)
    arrays = draw_arrays(judge.contract, simple.draw.sizes, generator)
    others = judge.seeds.near.items()
    asked = [judge.start_asked, judge.again.start_initial(arrays)]
    asked_near = [(seed, trace.start_initial(arrays)) for seed, trace in others]
    arrays = draw_arrays(judge.contract, ample.draw.sizes, generator)
    asked_far = [t.start_initial(arrays) for t in (ample.submission, judge.seeds.far)]
    own, again = (ticket.result()[1] for ticket in asked)
    near: Started = [(judge.seed, own)]
    near += [(seed, ticket.result()[1]) for seed, ticket in asked_near]
    one, other = (ticket.result()[1] for ticket in asked_far)
    first = far_seed(judge.seed) if judge.ample else judge.seed
    far: Started = [(first, one), (far_seed(judge.seed) + FAR, other)]
    keys = [(judge.seed, asked[0]), *asked_near, (far[1][0], asked_far[1])]
    message = _seed_message(judge, near, again, far) or _keys_message(keys)
    if message:
        judge.fail("seed", message)
    else:
        judge.passed("seed")
    judge.findings.remarks += drawn_alike(ample.submission, one) + constant_starts(ample, one)
    check_initial(judge, one, other)


def _seed_message(judge: ContractJudge, near: Started, again: Values, far: Started) -> str:
    """What is wrong with what several seeds give; an empty text when nothing is."""
    trials = judge.findings.trials
    own, ample = trials[0].submission.leaves, trials[judge.ample].submission.leaves
    if any(len(v) != len(own) for v in (again, *(values for _, values in near))):
        return "the number of parameters depends on the seed"
    if any(len(values) != len(ample) for _, values in far):
        return "the number of parameters depends on the seed"
    if not all(map(np.array_equal, near[0][1], again)):
        return "the same seed gave different parameters when asked again"
    random = [leaf.index for leaf in own if leaf.kind == "random" and leaf.size]
    drawn = {leaf.index for leaf in own if looks_drawn(near[0][1][leaf.index])}.union(random)
    drawn_far = {leaf.index for leaf in ample if looks_drawn(far[0][1][leaf.index])}
    alike = [_alike(drawn, near), _alike(drawn_far, far)]
    kernels = {leaf.index for leaf in own if leaf.role == "kernel"}
    expected = {leaf.role for leaf in trials[0].reference.leaves if leaf.kind == "random"}
    if (expected and not drawn) or (kernels and "kernel" in expected and not kernels & drawn):
        which = "kernel" if drawn else "parameter"
        return f"no {which} depends on the seed: all start as constants"
    if (
        random
        and all(set(random) <= same for same in alike[0].values())
        and all(drawn_far == same for same in alike[1].values())
    ):
        judge.findings.seed_ignored = True
        return "another seed gives the same parameters; is `seed` used?"
    for leaves, pairs, every in ((own, alike[0], drawn), (ample, alike[1], drawn_far)):
        always = set.intersection(*pairs.values()) if pairs else set()
        if always and always != every:
            judge.findings.seed_ignored = True
            return f"'{leaves[min(always)].path}' does not depend on the seed"
        for (seed, other), same in pairs.items():
            if same:
                what = "parameters" if same == every else f"'{leaves[min(same)].path}'"
                twins = f"the seeds {seed} and {other} give the same {what}"
                return f"{twins}; is the key made of `seed` itself?"
    if not _only_through_parameters(judge):
        return "with the same parameters, the result still depends on the seed"
    return ""


def _keys_message(asked: list[tuple[int, Ticket]]) -> str:
    """What is wrong where keys are made of numbers, but for some seed not of the seed."""
    for seed, ticket in asked:
        numbers = numbers_in(ticket.result()[0].get("keys"))
        if numbers and seed % 2**32 not in numbers:
            return f"with seed {seed} the key is made of {numbers[0]}, not of `seed` itself"
    return ""


def _alike(drawn: set[int], started: Started) -> dict[tuple[int, int], set[int]]:
    """Which of these parameters are the same for two seeds, for each two of them."""
    return {
        (seed, other): {i for i in drawn if np.array_equal(one[i], two[i])}
        for (seed, one), (other, two) in combinations(started, 2)
    }


def _only_through_parameters(judge: ContractJudge) -> bool:
    trial = judge.findings.trials[0]
    generator = np.random.default_rng([judge.seed, 77])
    weights = draw_weights(trial.submission.leaves, generator, "ordinary")
    arrays = draw_arrays(judge.contract, trial.draw.sizes, generator)
    other = next(iter(judge.seeds.near.values()))
    runs = [trace.start_run(weights, arrays) for trace in (trial.submission, other, judge.again)]
    first, *others = (run.result()[1] for run in runs)
    return all(all_close(other, first) for other in others)

"""How often the first diagnosis is the right one: ``make diagnoses``.

Every pitfall of every problem is planted in its reference alone; then all pairs of a problem's
pitfalls that can be told from each of the two alone; then the wrong answers by another hand.  The
figures go into ``tests/diagnoses.json`` and, from there, into the README.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from grader import catalogue
from grader.engine.cases import draw_arrays, draw_sizes, draw_weights
from grader.engine.compare import all_close
from grader.engine.reference import EditDoesNotApply, apply_edits, unedited
from grader.engine.suspects import Suspect
from grader.engine.traced import Traced
from grader.engine.transplant import Mismatch, match
from grader.engine.warm_grader import WarmGrader
from grader.problem import Edit, Pitfall, Problem

RESULTS = Path(__file__).with_name("diagnoses.json")
ANSWERS = catalogue.ROOT / "tests" / "answers"
WORKERS = 2
_VISIBLE = ("parameters", "shape", "finite", "numbers")


@dataclass
class Count:
    """How many were tried, how many came out as meant, and what became of the others."""

    tried: int = 0
    right: int = 0
    named: int = 0
    others: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, right: bool, named: bool, said: list[str]) -> None:
        self.tried += 1
        self.right += right
        self.named += named
        if not right:
            self.others[name] = said

    def told(self) -> dict[str, Any]:
        return {
            "tried": self.tried,
            "right": self.right,
            "named": self.named,
            "others": self.others,
        }


def edited(number: int, edits: Iterable[Edit]) -> str:
    """The solution of a problem with edits."""
    own = [edit for edit in edits if (edit.problem or number) == number]
    return apply_edits(catalogue.solution_path(number).read_text(), own)


def pairs(problem: Problem) -> Iterator[tuple[Pitfall, Pitfall]]:
    """Pairs of mistakes that can be in one file and can both be seen there."""
    numbers = [p for p in problem.pitfalls if p.check in _VISIBLE]
    for one, other in combinations(numbers, 2):
        try:
            edited(problem.number, (*one.edits, *other.edits))
        except EditDoesNotApply:
            continue
        if _both_show(problem, one, other):
            yield one, other


def _both_show(problem: Problem, one: Pitfall, other: Pitfall) -> bool:
    """Whether the two together differ from each alone and from the reference, and run."""
    alone = [Suspect(((problem.number, pitfall),)) for pitfall in (one, other)]
    together = alone[0].joined(alone[1])
    draw = draw_sizes(problem, np.random.default_rng(1), 3)[-1]
    for index, contract in enumerate(problem.contracts):

        def traced(suspect: Suspect, contract: Any = contract) -> Traced | None:
            try:
                solutions = suspect.solutions() if suspect.pitfalls else unedited()
                return solutions.trace(problem.number, contract, 0, draw.sizes)
            except Exception:
                return None

        both = traced(together)
        if both is None:
            return False
        generator = np.random.default_rng(index)
        weights = draw_weights(both.leaves, generator, "loud")
        arrays = draw_arrays(contract, draw.sizes, generator)
        value = both.run(weights, arrays)
        for rival in (*alone, Suspect()):
            with_less = traced(rival)
            if with_less is not None and _equal(both, with_less, weights, arrays, value):
                break
        else:
            return True
    return False


def _equal(
    both: Traced, less: Traced, weights: list[np.ndarray], arrays: list[np.ndarray], value: Any
) -> bool:
    matched = match(both.leaves, less.leaves)
    if isinstance(matched, Mismatch):
        return False
    return all_close(less.run(matched.weights(weights), arrays), value)


Planted = tuple[int, str, str, set[str]]
"""Problem, a name, the text, the mistakes in it."""


def grade_all(planted: list[Planted], right: Callable[[dict[str, Any], Planted], bool]) -> Count:
    """Grade every text with a warm grader each for two workers."""
    count = Count()

    def grade(share: list[Planted]) -> list[tuple[Planted, dict[str, Any]]]:
        with WarmGrader() as grader, tempfile.TemporaryDirectory() as folder:
            results = []
            for i, item in enumerate(share):
                path = Path(folder) / f"answer_{i}.py"
                path.write_text(item[2])
                verdict = grader.grade(path, item[0], two_children=False, shrink=False)
                results.append((item, verdict))
            return results

    shares = [planted[i::WORKERS] for i in range(WORKERS)]
    with ThreadPoolExecutor(WORKERS) as pool:
        for results in pool.map(grade, shares):
            for item, verdict in results:
                named = bool(verdict["diagnoses"]) and right(verdict, item)
                count.add(item[1], right(verdict, item), named, said(verdict))
    return count


def said(verdict: dict[str, Any]) -> list[str]:
    """What a verdict names, and where it says that the two part."""
    named = [d["pitfall"] for d in verdict["diagnoses"]]
    return named or [f"parts at: {', '.join(sorted(parted_at(verdict)))}"]


def parted_at(verdict: dict[str, Any]) -> set[str]:
    """The places that a verdict points at: where the two part, also inside a block."""
    stages = verdict["stages"]
    if not stages:
        return {"no stage trace"}
    outer = next((stage["title"] for stage in stages if stage["parts"]), "after the last stage")
    inner = [stage["title"] for stage in stages if stage["inside"] and not stage["found"]][:1]
    named = [value["what"] for value in verdict["nearest"] if value["difference"]]
    return {outer, *inner, *named}


def named_exactly(verdict: dict[str, Any], planted: Planted) -> bool:
    return {d["pitfall"] for d in verdict["diagnoses"]} == planted[3]


def singles(numbers: list[int]) -> Count:
    """Every pitfall alone."""
    planted = [
        (n, f"{n} {p.id}", edited(n, p.edits), {p.id})
        for n in numbers
        for p in catalogue.problem(n).pitfalls
    ]
    return grade_all(planted, named_exactly)


def in_pairs(numbers: list[int], most: int) -> Count:
    """Pairs of pitfalls; of more than ``most`` in a problem, that many by chance (fixed seed)."""
    planted: list[Planted] = []
    for number in numbers:
        problem = catalogue.problem(number)
        found = list(pairs(problem))
        if len(found) > most:
            found = random.Random(number).sample(found, most)
        for one, other in found:
            text = edited(number, (*one.edits, *other.edits))
            name = f"{number} {one.id} + {other.id}"
            planted.append((number, name, text, {one.id, other.id}))
    return grade_all(planted, named_exactly)


def answers(numbers: list[int]) -> Count:
    """The wrong answers by another hand: named rightly, or shown at the right stage."""
    planted: list[Planted] = []
    expected: dict[str, dict[str, Any]] = {}
    for number in numbers:
        for path in sorted(ANSWERS.glob(f"{number}_*/wrong/*.py")):
            told = json.loads((path.parent / "expected.json").read_text())[path.stem]
            expected[f"{number} {path.stem}"] = told
            planted.append((number, f"{number} {path.stem}", path.read_text(), set()))
    return grade_all(planted, lambda verdict, item: is_right(verdict, expected[item[1]]))


def is_right(verdict: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Whether a verdict names the expected mistakes and no other, or points at the right place.

    The place is a stage, or what a failed check says (the parameter, the output, the type).
    """
    named = {d["pitfall"] for d in verdict["diagnoses"]}
    if named:
        return is_named(verdict, expected)
    told = " ".join(c["message"] for c in verdict["checks"] if c["status"] == "failed")
    says = expected.get("says")
    return bool(parted_at(verdict) & set(expected.get("parts", ()))) or bool(
        says and re.search(says, told, re.DOTALL)
    )


def is_named(verdict: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Whether exactly the expected mistakes are named."""
    named = {d["pitfall"] for d in verdict["diagnoses"]}
    return any(named == set(names) for names in expected.get("named", ()))


def main() -> None:
    """Count, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("problems", nargs="*", type=int, default=list(catalogue.names()))
    parser.add_argument("--pairs", type=int, default=10**6, help="most pairs for each problem")
    parser.add_argument("--only", choices=["singles", "pairs", "answers"])
    options = parser.parse_args()
    numbers = options.problems or list(catalogue.names())
    if unknown := set(numbers) - set(catalogue.names()):
        parser.error(f"there is no problem {min(unknown)}")
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    ways: dict[str, Callable[[], Count]] = {
        "singles": lambda: singles(numbers),
        "pairs": lambda: in_pairs(numbers, options.pairs),
        "answers": lambda: answers(numbers),
    }
    for name, way in ways.items():
        if options.only in (None, name):
            count = way()
            print(f"{name}: {count.right} of {count.tried}", flush=True)
            for other, what in sorted(count.others.items()):
                print(f"  {other}: {', '.join(what)}")
            known[name] = count.told()
    if numbers == list(catalogue.names()):
        RESULTS.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()

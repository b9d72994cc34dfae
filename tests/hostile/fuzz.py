"""Feed the grader mutated references: ``python -m tests.hostile.fuzz --count 2000``.

Files are numbered; a number makes the same file every time, so a run can be continued
(``--first``) and a finding repeated (``--first N --count 1 --keep FOLDER``).  Every verdict is
looked at (form, time, what is left behind); a pass is kept, since it must be a right answer.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from grader import catalogue
from tests.hostile.mutate import mutated
from tests.hostile.watched import Watched, watched

SECONDS = 10.0


@dataclass
class Tally:
    """What a run has found."""

    ways: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    passed: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def fuzz(
    grader: Watched, numbers: range, problems: list[int], folder: Path, keep: Path | None = None
) -> Tally:
    """Grade the files with these numbers."""
    tally = Tally()
    for number in numbers:
        made = mutated(number, problems)
        path = folder / f"{number}_{made.problem}.py"
        path.write_bytes(made.data)
        name = f"{number}: problem {made.problem}, {made.how}"
        tally.ways[made.how] += 1
        try:
            verdict = grader.grade(path, made.problem, SECONDS)
            own = [c["message"] for c in verdict["checks"] if c["status"] == "error"]
            assert not own, own[0]
        except (AssertionError, ValueError, RuntimeError) as error:
            tally.broken.append(f"{name}: {type(error).__name__}: {error}"[:300])
            continue
        finally:
            if keep is not None:
                (keep / path.name).write_bytes(made.data)
            path.unlink()
        failed = [c["id"].rsplit(".", 1)[-1] for c in verdict["checks"] if c["status"] == "failed"]
        tally.outcomes[failed[0] if failed else "passed"] += 1
        if verdict["passed"] and not made.same_program:
            tally.passed.append(name)
    return tally


def main() -> None:
    """Run, and tell what came out; exit status 1 when something broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--problems", type=int, nargs="*", default=list(catalogue.names()))
    parser.add_argument("--keep", type=Path, help="a folder for the files")
    told = parser.parse_args()
    total, started = Tally(), time.monotonic()
    if told.keep:
        told.keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        files, scratch = Path(folder) / "files", Path(folder) / "scratch"
        files.mkdir()
        scratch.mkdir()
        with watched(scratch, *told.problems) as grader:
            last = told.first + told.count
            for first in range(told.first, last, 20):
                some = range(first, min(first + 20, last))
                tally = fuzz(grader, some, told.problems, files, told.keep)
                for ours, theirs in ((total.ways, tally.ways), (total.outcomes, tally.outcomes)):
                    ours.update(theirs)
                total.passed += tally.passed
                total.broken += tally.broken
                done = some.stop - told.first
                print(f"{done} of {told.count}, {time.monotonic() - started:.0f} s", flush=True)
                for title, found in (("passed", tally.passed), ("broken", tally.broken)):
                    for name in found:
                        print(f"  {title} {name}", flush=True)
    for title, found in (("ways", total.ways), ("first failed check", total.outcomes)):
        print(f"{title}: " + ", ".join(f"{name} {n}" for name, n in found.most_common()))
    print(f"{len(total.broken)} broken; {len(total.passed)} passed though their program differs")
    print(
        "(each of those must be a right answer: look at it with --first N --count 1 --keep FOLDER)"
    )
    sys.exit(1 if total.broken else 0)


if __name__ == "__main__":
    main()

"""What a student has reached, in ``.progress.json`` of the working copy.

A plain file: for each problem the best score, whether it passed, the hashes of the texts that
passed, what was diagnosed last and how many hints were shown.  Written atomically, under a lock, so
that two terminals do not lose each other's news.  A damaged file is kept as a copy; what can still
be read of it goes into a fresh one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.catalogue import PROBLEMS, ROOT, names
from grader.passed import PassedTexts, fingerprint

if TYPE_CHECKING:
    from grader.verdict import Verdict

FILE = ROOT / ".progress.json"
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Reached:
    """What is known about one problem.

    Attributes:
      score: the best one, 0 to 1.
      passed_text: the hash of the text that passed last, if one did.
      helped: whether the solution was asked for before the problem had passed.
      diagnosed: the mistakes in the last verdict, as ``problem/pitfall``.
      hints: how many hints were shown, by mistake; ``""`` stands for the problem's own.
      passed_before: the hashes of other texts that passed, so that a run of ``train --mine`` can be
        looked at when its answer has changed.

    """

    score: float = 0.0
    passed_text: str | None = None
    helped: bool = False
    diagnosed: tuple[str, ...] = ()
    hints: Mapping[str, int] = field(default_factory=dict)
    passed_before: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether an answer has passed, ever."""
        return self.passed_text is not None

    def knows(self, text: str) -> bool:
        """Whether the text with this fingerprint has passed, ever."""
        return text == self.passed_text or text in self.passed_before

    def with_passed(self, text: str) -> Reached:
        """The same after another text has passed."""
        others = {*self.passed_before, self.passed_text or text} - {text}
        return replace(self, passed_text=text, passed_before=tuple(sorted(others)))


class Unsaved(Exception):
    """The progress file cannot be written; the message says why."""


def to_stderr(line: str) -> None:
    """Tell the user something beside the output proper."""
    print(f"grader: {line}", file=sys.stderr)


def read(path: Path = FILE, tell: Tell = to_stderr) -> dict[int, Reached]:
    """What is known, by problem; a damaged file is mended, and ``tell`` told so."""
    known, damaged = _parsed(path)
    if damaged:
        try:
            with _locked(path):
                known, damaged = _parsed(path)
                if damaged:
                    tell(_mend(path, known))
        except OSError as error:
            tell(f"{path.name} is damaged and cannot be mended: {error.strerror}")
    return known


def update(
    number: int, change: Callable[[Reached], Reached], path: Path = FILE, tell: Tell = to_stderr
) -> Reached:
    """Change what is known about one problem.

    Raises:
      Unsaved: the file cannot be written.

    """
    try:
        with _locked(path):
            known, damaged = _parsed(path)
            if damaged:
                tell(_mend(path, known))
            known[number] = change(known.get(number, Reached()))
            _write(path, known)
            return known[number]
    except OSError as error:
        raise Unsaved(f"{path.name} cannot be written ({error.strerror})") from error


def record(
    number: int,
    score: float,
    passed_text: str | None,
    path: Path = FILE,
    diagnosed: tuple[str, ...] = (),
    tell: Tell = to_stderr,
) -> None:
    """Remember a grading.

    Args:
      number: the problem.
      score: what was reached now; the best one is kept.
      passed_text: ``fingerprint`` of the text when it passed.
      path: the progress file.
      diagnosed: the mistakes found now, as ``problem/pitfall``.
      tell: told when it cannot be remembered: a read-only working copy is left alone.

    """

    def after(before: Reached) -> Reached:
        after = before if passed_text is None else before.with_passed(passed_text)
        return replace(after, score=max(score, before.score), diagnosed=diagnosed)

    try:
        update(number, after, path, tell)
    except Unsaved as unsaved:
        tell(f"progress is not remembered: {unsaved}")


def record_verdict(
    number: int, verdict: Verdict, source: str | None, tell: Tell = to_stderr
) -> None:
    """Remember a verdict on the answer; ``source`` is the text that passed, or None."""
    diagnosed = tuple(f"{d.problem}/{d.pitfall}" for d in verdict.diagnoses)
    text = None if source is None else fingerprint(source)
    record(number, verdict.score, text, FILE, diagnosed, tell)


def record_cell(number: int, verdict: Verdict, source: str, tell: Tell = to_stderr) -> None:
    """Remember a verdict on a cell; a file that has passed goes on counting for ``use``."""
    before = read(tell=tell).get(number, Reached())
    text = fingerprint(source) if verdict.passed and not before.passed else None
    diagnosed = tuple(f"{d.problem}/{d.pitfall}" for d in verdict.diagnoses)
    record(number, verdict.score, text, FILE, diagnosed, tell)


def passed_texts(known: Mapping[int, Reached]) -> PassedTexts:
    """What ``use`` needs to know."""
    return PassedTexts({n: r.passed_text for n, r in known.items() if r.passed_text})


def is_answer(path: Path, number: int) -> bool:
    """Whether this is the file in ``problems/`` that answers problem ``number``."""
    # realpath takes links that lead to themselves as they are
    return Path(os.path.realpath(path)) == PROBLEMS / f"{number}_{names()[number]}.py"


def text_of(path: Path) -> str | None:
    """The text of a file, None where there is none to read."""
    try:
        return path.read_text(encoding="utf-8") if path.is_file() else None
    except (OSError, UnicodeDecodeError):
        return None


# --- the file ------------------------------------------------------------------------------


def _parsed(path: Path) -> tuple[dict[int, Reached], bool]:
    """What can be read, and whether there is something that cannot."""
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError:
        return {}, True
    except OSError:
        return {}, False
    known, damaged = {}, False
    try:
        for number, entry in json.loads(text)["problems"].items():
            try:
                known[int(number)] = _checked(entry)
            except (ValueError, KeyError, TypeError, AttributeError):
                damaged = True
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}, True
    return known, damaged


def _checked(entry: dict[str, Any]) -> Reached:
    text = entry.get("passed_text")
    score = float(entry["score"])
    if not 0 <= score <= 1 or not isinstance(text, str | None):
        raise ValueError
    return Reached(
        score,
        text,
        bool(entry.get("helped", False)),
        tuple(str(name) for name in entry.get("diagnosed", ())),
        {str(name): int(count) for name, count in entry.get("hints", {}).items()},
        tuple(str(text) for text in entry.get("passed_before", ())),
    )


def _mend(path: Path, known: Mapping[int, Reached]) -> str:
    """Keep the damaged file under another name, write what could be read; says what was done."""
    copy = next(
        copy
        for i in range(1, 10**6)
        if not (copy := path.with_name(f"{path.stem}.damaged-{i}.json")).exists()
    )
    path.replace(copy)
    _write(path, known)
    kept = f"{len(known)} problems could be read" if known else "nothing in it could be read"
    return f"{path.name} was damaged: {kept}; the old file is {copy.name}; grade again to fill it"


def _write(path: Path, known: Mapping[int, Reached]) -> None:
    told = {"problems": {str(n): asdict(known[n]) for n in sorted(known)}}
    fresh = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with open(fresh, "w", encoding="utf-8") as stream:
            stream.write(json.dumps(told, indent=1) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the folder of the progress file for one reading and writing."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)

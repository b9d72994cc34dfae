"""What a student has reached, in ``.progress.json`` of the working copy.

A plain file: for each problem the best score, whether it passed, and the hash of the text that
passed.  Written atomically, under a lock, so that two terminals do not lose each other's news.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from grader.catalogue import ROOT

FILE = ROOT / ".progress.json"


@dataclass(frozen=True)
class Reached:
    """One problem: the best score (0 to 1), and the hash of the text that passed, if one did."""

    score: float = 0.0
    passed_text: str | None = None


def fingerprint(source: str) -> str:
    """A hash of a submission's text."""
    return hashlib.sha256(source.encode()).hexdigest()


def read(path: Path = FILE) -> dict[int, Reached]:
    """What is known, by problem; nothing where the file is missing or damaged."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return {int(number): _checked(entry) for number, entry in told["problems"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _checked(entry: dict[str, Any]) -> Reached:
    text = entry.get("passed_text")
    return Reached(float(entry["score"]), text if isinstance(text, str) else None)


def record(number: int, score: float, passed_text: str | None, path: Path = FILE) -> None:
    """Remember a grading; a read-only working copy is left alone.

    Args:
      number: the problem.
      score: what was reached now; the best one is kept.
      passed_text: ``fingerprint`` of the text when it passed.
      path: the progress file.

    """
    with contextlib.suppress(OSError), _locked(path):
        known = read(path)
        before = known.get(number, Reached())
        known[number] = Reached(max(score, before.score), passed_text or before.passed_text)
        told = {"problems": {str(n): asdict(known[n]) for n in sorted(known)}}
        fresh = path.with_suffix(f".{os.getpid()}.tmp")
        fresh.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        fresh.replace(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the folder of the progress file for one reading and writing."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)

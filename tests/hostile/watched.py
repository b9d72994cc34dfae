"""A warm grader that is watched: verdicts of the right form, in time, and nothing left behind."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import jsonschema

from grader.catalogue import ROOT
from grader.engine.warm_grader import WarmGrader
from tests.conftest import stalled
from tests.hostile.leftovers import (
    adopt_orphans,
    children,
    descendants,
    gone_soon,
    no_others_than,
)

SCHEMA = jsonschema.Draft202012Validator(
    json.loads((ROOT / "grader/report/verdict.schema.json").read_text())
)
SECRET = "hush-hush"


@dataclass(frozen=True)
class Watched:
    """A warm grader whose scratch folders nobody else uses."""

    warm: WarmGrader
    folder: Path
    idle: frozenset[int]

    def grade(self, path: Path, number: int, seconds: float) -> dict[str, Any]:
        """The verdict, after everything was looked at that holds for every verdict.

        Raises:
          AssertionError: something does not.

        """
        before = children()
        started, before_it = time.monotonic(), stalled()
        verdict = self.warm.grade(path, number, timeout=seconds)
        took = time.monotonic() - started - 2 * (stalled() - before_it)
        SCHEMA.validate(verdict)
        assert took < seconds + 2, f"{took:.1f} s"
        assert SECRET not in json.dumps(verdict)
        assert not [note for note in verdict["notes"] if "isolated only in part" in note]
        assert descendants(self.warm._process.pid) <= self.idle, "processes are left"
        assert gone_soon(self.folder), "files are left"
        assert no_others_than(before), "processes have run away"
        return verdict


@contextmanager
def watched(folder: Path, *problems: int) -> Iterator[Watched]:
    """A watched grader that keeps its scratch folders in ``folder``, warm for some problems."""
    adopt_orphans()
    with mock.patch.dict(os.environ, TMPDIR=str(folder), SECRET=SECRET):
        warm = WarmGrader()
    with warm:
        for number in problems or (38,):  # when it has answered once, it has all its processes
            warm.grade(ROOT / "problems" / _name(number), number)
        yield Watched(warm, folder, frozenset(descendants(warm._process.pid)))


def _name(number: int) -> str:
    return next(path.name for path in (ROOT / "problems").glob(f"{number}_*.py"))

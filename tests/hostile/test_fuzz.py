"""Mutated and random files: a verdict each, and no pass by accident.  ``make fuzz`` runs more."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.hostile.fuzz import fuzz
from tests.hostile.mutate import mutated
from tests.hostile.watched import watched

PROBLEMS = [38, 39]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.xdist_group("hostile")
def test_whatever_a_file_holds_there_is_a_verdict(tmp_path: Path) -> None:
    files, scratch = tmp_path / "files", tmp_path / "scratch"
    files.mkdir()
    scratch.mkdir()
    with watched(scratch, *PROBLEMS) as grader:
        tally = fuzz(grader, range(20), PROBLEMS, files)
    assert tally.broken == []
    assert tally.passed == []
    assert sum(tally.outcomes.values()) == 20
    assert len(tally.outcomes) >= 3


def test_a_number_makes_the_same_file_every_time() -> None:
    assert [mutated(i, PROBLEMS) for i in range(5)] == [mutated(i, PROBLEMS) for i in range(5)]
    assert len({mutated(i, PROBLEMS).data for i in range(100)}) > 80

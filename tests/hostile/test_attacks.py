"""Every attack gets the verdict that it names itself, in time, and leaves nothing behind."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import failed_checks
from tests.hostile.watched import Watched, watched

FILES = sorted((Path(__file__).parent / "files").glob("*.py"))
SECONDS = 5.0
SECRET = "hush-hush"
ENDLESS = 1.5
"""The time limit of attacks that are expected to use all of it."""

linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the isolation exists on Linux"
)
pytestmark = [linux, pytest.mark.xdist_group("hostile")]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with watched(tmp_path_factory.mktemp("scratch"), 38) as grader:
        yield grader


def expected(path: Path) -> tuple[list[str], list[str]]:
    """The verdicts that an attack may get, and the words of which one must be said."""
    head = path.read_text()
    verdicts, says = (
        re.search(rf"^{name}:(.*)$", head, re.MULTILINE)[1].strip().split(" | ")  # type: ignore[index]
        for name in ("verdict", "says")
    )
    return verdicts, says


def outcome(verdict: dict[str, Any]) -> str:
    return "passed" if verdict["passed"] else f"failed at {first_failure(verdict)}"


def first_failure(verdict: dict[str, Any]) -> str:
    bad = [c["id"] for c in verdict["checks"] if c["status"] in ("failed", "error")]
    return str(bad[0]) if bad else "nothing"


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_an_attack_gets_its_verdict(path: Path, bench: Watched) -> None:
    verdicts, says = expected(path)
    endless = any("too long" in word or "took longer" in word for word in says)
    seconds = ENDLESS if endless else SECONDS
    verdict = bench.grade(path, 38, seconds)
    assert outcome(verdict) in verdicts, verdict["checks"]
    told = json.dumps(verdict, ensure_ascii=False).replace('\\"', '"')
    assert any(words in told for words in says), told


def test_every_attack_but_the_harmless_ones_fails() -> None:
    harmless = {path.stem for path in FILES if expected(path)[0] == ["passed"]}
    assert harmless == {
        "clones_past_libc",
        "forks_past_python",
        "many_files",
        "prints_much",
        "threads_that_never_end",
    }
    assert len(FILES) >= 80


def test_finished_checks_keep_their_results_when_the_time_is_up(bench: Watched) -> None:
    path = next(path for path in FILES if path.stem == "loop_on_one_size")
    verdict = bench.grade(path, 38, ENDLESS)
    status = {check["id"]: check["status"] for check in verdict["checks"]}
    assert status["implemented"] == "passed"
    assert failed_checks(verdict) == ["runs"]
    assert status["numbers"] == "skipped"

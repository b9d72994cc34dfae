"""The progress file: old ones, damaged ones, two terminals at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from grader.study import progress
from grader.study.progress import Reached


def test_the_best_score_and_the_text_that_passed_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    assert progress.read(path) == {}
    progress.record(41, 1.0, "abc", path)
    progress.record(41, 0.4, None, path, ("41/post-norm",))
    progress.record(46, 0.5, None, path)
    assert progress.read(path)[41] == Reached(1.0, "abc", diagnosed=("41/post-norm",))
    assert progress.read(path)[46] == Reached(0.5, None)
    assert [p.name for p in tmp_path.iterdir()] == ["progress.json"]


def test_a_text_that_passed_is_known_after_another_has(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    for text in ("abc", "def", "ghi", "abc"):
        progress.record(41, 1.0, text, path)
    progress.record(41, 0.3, None, path)
    reached = progress.read(path)[41]
    assert reached == Reached(1.0, "abc", passed_before=("def", "ghi"))
    assert [text for text in ("abc", "def", "ghi", "jkl") if reached.knows(text)] == [
        "abc",
        "def",
        "ghi",
    ]


def test_everything_survives_writing_and_reading(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    full = Reached(0.5, "abc", True, ("46/a", "41/b"), {"": 2, "46/a": 1}, ("de", "fg"))
    progress.update(46, lambda _: full, path)
    assert progress.read(path)[46] == full


def test_a_file_from_before_hints_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    path.write_text('{"problems": {"41": {"score": 1.0, "passed_text": "abc"}}}')
    assert progress.read(path, pytest.fail) == {41: Reached(1.0, "abc")}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"problems": {"x": 1}}', '{"problems": 3}', "\xff\xfe", '{"problems": {"41"'],
)
def test_a_damaged_file_is_rebuilt_and_kept(tmp_path: Path, text: str) -> None:
    path = tmp_path / "progress.json"
    path.write_bytes(text.encode("latin-1"))
    told: list[str] = []
    assert progress.read(path, told.append) == {}
    assert len(told) == 1
    assert "damaged" in told[0]
    assert (tmp_path / "progress.damaged-1.json").read_bytes() == text.encode("latin-1")
    assert progress.read(path, pytest.fail) == {}
    progress.record(38, 0.2, None, path)
    assert json.loads(path.read_text())["problems"]["38"]["score"] == 0.2


def test_what_can_be_read_of_a_damaged_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    path.write_text(
        '{"problems": {"41": {"score": 1.0, "passed_text": "abc"}, "46": {"score": "much"}}}'
    )
    told: list[str] = []
    progress.record(38, 0.2, None, path, tell=told.append)
    assert "progress.damaged-1.json" in told[0]
    assert progress.read(path) == {38: Reached(0.2), 41: Reached(1.0, "abc")}


def test_two_terminals_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    script = (
        "import sys; from pathlib import Path; from dataclasses import replace\n"
        "from grader.study import progress\n"
        "for i in range(40):\n"
        "    progress.update(int(sys.argv[1]), lambda r: replace(r, hints={'': i + 1}),"
        " Path(sys.argv[2]))\n"
        "    progress.update(46, lambda r: replace(r, hints={'': r.hints.get('', 0) + 1}),"
        " Path(sys.argv[2]))\n"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", script, str(number), str(path)])
        for number in (38, 39)
    ]
    assert [process.wait(60) for process in both] == [0, 0]
    known = progress.read(path, pytest.fail)
    assert {n: r.hints[""] for n, r in known.items()} == {38: 40, 39: 40, 46: 80}
    assert [p.name for p in tmp_path.iterdir()] == ["progress.json"]

"""The review of a class on folders as instructors have them."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grader.catalogue import ROOT
from notebooks import build
from notebooks.outputs import unwanted
from notebooks.source import SOURCES, notebook_of

RIGHT = ROOT / "solutions/38_patch_embed.py"
WRONG = ROOT / "tests/answers/38_patch_embed/wrong/no_bias.py"
SHIPPED = 'ANSWERS = {n: ROOT / "tests/answers" / catalogue.solution_path(n).stem for n in NUMBERS}'
IMPORTED = "from grader.engine.warm_grader import WarmGrader\n"
ENDS_ONCE = f"""{IMPORTED}

class EndsOnce(WarmGrader):
    def grade(self, path, *words, **options):
        if path.name == "ends.py":
            raise RuntimeError("it ended")
        return super().grade(path, *words, **options)


WarmGrader = EndsOnce
"""
Review = Callable[..., str]


def printed(output: dict[str, Any]) -> str:
    """The text of an output, or that it is a picture."""
    data = output.get("data", {})
    return "[picture]\n" if "image/png" in data else output.get("text") or data["text/plain"]


@pytest.fixture
def review(tmp_path: Path) -> Review:
    """What the notebook prints about a folder of answers to problem 38; no cell may raise."""
    handed_in = tmp_path / "handed_in"
    handed_in.mkdir()

    def run(
        fill: Callable[[Path], object], *, imported: str = IMPORTED, scores: Path | None = None
    ) -> str:
        fill(handed_in)
        text = (SOURCES / "90_review_a_class.md").read_text(encoding="utf-8")
        for before, after in (
            (SHIPPED, f"ANSWERS = {{38: Path({str(handed_in)!r})}}"),
            (IMPORTED, imported),
            ("SCORES = None", f"SCORES = Path({str(scores)!r})" if scores else "SCORES = None"),
        ):
            assert text.count(before) == 1
            text = text.replace(before, after)
        done = build.run(notebook_of(text, "90_review_a_class", 1))
        assert unwanted(done) == []
        outputs = [output for cell in done.cells for output in cell.get("outputs", ())]
        return "".join(map(printed, outputs))

    return run


def nothing(folder: Path) -> None:
    assert list(folder.iterdir()) == []


def passed_only(folder: Path) -> None:
    shutil.copy(RIGHT, folder / "38_right.py")


@pytest.mark.parametrize(("fill", "passed"), [(nothing, 0), (passed_only, 1), (Path.rmdir, 0)])
def test_a_class_in_which_nothing_failed_has_empty_charts(
    fill: Callable[[Path], object], passed: int, review: Review
) -> None:
    told = review(fill)
    assert f"{passed} answers to problem 38" in told
    assert ("there is no such folder" in told) is (fill is Path.rmdir)
    assert f"{passed} passed, 0 did not" in told
    assert told.count("Nothing to draw: there are no ") == 4
    assert "[picture]" not in told
    assert "no answer failed" in told


def no_known_mistake(folder: Path) -> None:
    (folder / "38_syntax.py").write_text("def f(\n")
    (folder / "38_itself.py").symlink_to("38_itself.py")
    (folder / "ends.py").write_text("")


def test_failed_answers_without_a_known_mistake(review: Review) -> None:
    told = review(no_known_mistake, imported=ENDS_ONCE)
    assert "ends.py is not graded: it ended" in told
    assert "0 passed, 2 did not" in told
    assert "Nothing to draw: there are no answers in which it was found." in told
    assert told.count("[picture]") == 2  # the stages and the checks
    assert "No answer that failed has a known mistake." in told


def all_sorts(folder: Path) -> None:
    within = folder / "group"
    within.mkdir()
    cell = {"cell_type": "code", "source": f"%%grade 38\n{RIGHT.read_text()}"}
    (folder / "38_right.ipynb").write_text(json.dumps({"cells": [cell]}))
    shutil.copy(RIGHT, folder / "38_CAPITALS.PY")
    for name in ("long_" * 10 + ".py", "two\nlines.py", "red\x1b[31m.py", "日本" * 10 + ".py"):
        shutil.copy(WRONG, within / name)
    (folder / ".ipynb_checkpoints").mkdir()
    for name in ("38.py.txt", "38", "38.zip", ".ipynb_checkpoints/38_right.ipynb", "z.pdf"):
        (folder / name).write_text("")


def test_files_are_listed_in_columns_or_told_to_be_left_out(review: Review) -> None:
    told = review(all_sorts)
    assert "6 answers to problem 38" in told
    assert "5 files left out: 38_right.ipynb, 38, 38.py.txt, 38.zip, …\n" in told
    assert "2 passed, 4 did not" in told
    assert "\x1b" not in told
    rows = re.findall(r"^38 (.*) 0\.\d\d  .*", told, re.MULTILINE)
    assert sorted(rows) == [
        r"group/red\x1b[31m.py                ",
        r"group/two\nlines.py                 ",
        "…g_long_long_long_long_long_long_.py",
        "…日本日本日本日本日本日本日本日本.py",
    ]
    assert "38 38_CAPITALS.PY\n38 38_right.ipynb\n" in told  # who passed
    same = next(line for line in told.splitlines() if line.startswith("the same text: "))
    assert same.count("group/") == 4


def test_a_table_of_the_scores_holds_no_formula(review: Review, tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        shutil.copy(RIGHT, folder / "=cmd|calc.py")
        (folder / "38_empty.py").write_text("")

    where = tmp_path / "scores.csv"
    told = review(fill, scores=where)
    assert "2 rows in " in told
    with where.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["problem", "answer", "passed", "score", "mistakes"]
    assert rows[1][:4] == ["38", "38_empty.py", "False", "0.0"]
    assert rows[2] == ["38", "'=cmd|calc.py", "True", "1.0", ""]

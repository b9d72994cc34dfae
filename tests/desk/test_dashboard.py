"""``python -m grader`` with nothing behind it, on terminals of many kinds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grader import catalogue
from grader.catalogue import ROOT
from tests.desk.conftest import Typed, plain

REACHED = {
    "38": {"score": 1.0, "passed_text": "a" * 64},
    "39": {"score": 1.0, "passed_text": "b" * 64, "helped": True},
    "40": {"score": 0.43, "passed_text": None},
}


@pytest.fixture
def reached(copy: Path) -> None:
    (copy / ".progress.json").write_text(json.dumps({"problems": REACHED}))
    with open(copy / "problems/41_encoder_block.py", "a") as answer:
        answer.write("# mine\n")


def line_of(number: int, text: str) -> str:
    return next(line for line in text.splitlines() if f" {number} " in line[:6])


def test_a_fresh_copy_has_nothing_started_and_says_where_to_begin(typed: Typed) -> None:
    done = typed()
    assert done.returncode == 0
    assert done.stdout.count("not started") == 10
    assert "0 of 10 passed" in done.stdout
    assert "python -m grader show 38" in done.stdout


@pytest.mark.usefixtures("reached")
def test_every_state_and_the_next_one_to_do(typed: Typed) -> None:
    text = typed().stdout
    assert "passed" in line_of(38, text)
    assert "with help" not in line_of(38, text)
    assert "passed with help" in line_of(39, text)
    assert "tried" in line_of(40, text)
    assert "0.43" in line_of(40, text)
    assert "tried" in line_of(41, text)  # never graded, but no longer the stub
    assert "not started" in line_of(45, text)
    assert "2 of 10 passed" in text
    assert line_of(40, text).startswith("→")
    assert "python -m grader hint 40" in text


@pytest.mark.usefixtures("reached")
@pytest.mark.parametrize("columns", [40, 80, 120])
def test_it_fits_the_terminal(columns: int, terminal: Callable[..., Any]) -> None:
    screen = terminal(columns=columns)
    text = screen.read()
    assert "\x1b[" in text
    lines = plain(text).splitlines()
    assert max(map(len, lines)) <= columns
    assert sum(line.startswith(("  ", "→ ")) and line[2:4].isdigit() for line in lines) == 10


@pytest.mark.usefixtures("reached")
def test_no_colour_and_no_unicode_where_they_are_not_wanted(terminal: Callable[..., Any]) -> None:
    screen = terminal(NO_COLOR="1", LANG="C")
    text = screen.read()
    assert text.isascii()
    assert "\x1b[3" not in text
    assert "####" in text
    assert "> 40" in plain(text)


@pytest.mark.parametrize(
    "words",
    [(), ("list",), ("hint", "46"), ("show", "46"), ("solution", "46", "--give-up"), ("--help",)],
)
def test_what_needs_no_grading_does_not_import_jax(words: tuple[str, ...], typed: Typed) -> None:
    done = typed(*words, PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "grader.cli" in imported
    assert not imported & {"jax", "flax", "numpy", "optax"}


def test_a_pass_says_what_to_do_next(copy: Path, typed: Typed) -> None:
    for number in (38, 39):
        name = catalogue.solution_path(number).name
        shutil.copy(ROOT / "solutions" / name, copy / "problems" / name)
    assert "Next: 39" in typed("38").stdout
    assert "Next: 40" in typed("39").stdout
    assert "Next:" not in typed("solutions/38_patch_embed.py").stdout


def test_after_the_last_problem_comes_the_training_run(copy: Path, typed: Typed) -> None:
    name = catalogue.solution_path(38).name
    passed = {"score": 1.0, "passed_text": "a" * 64}
    known = {str(number): passed for number in catalogue.names()}
    (copy / ".progress.json").write_text(json.dumps({"problems": known}))
    shutil.copy(ROOT / "solutions" / name, copy / "problems" / name)
    assert "python -m grader train --mine" in typed("38").stdout
    assert "python -m grader train --mine" in typed().stdout

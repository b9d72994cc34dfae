"""Notebooks that are handed in: which cell is the answer, and what is said where none is."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grader.catalogue import ROOT
from grader.engine.cells import jupyter_command
from grader.engine.warm_grader import WarmGrader
from tests.conftest import failed_checks

Command = Callable[..., subprocess.CompletedProcess[str]]
RIGHT = (ROOT / "solutions/38_patch_embed.py").read_text()
WRONG = (ROOT / "tests/answers/38_patch_embed/wrong/no_bias.py").read_text()
TWICE = "2 cells of it begin with %%grade 38"


def notebook(*cells: str, kind: str = "code") -> str:
    return json.dumps({"cells": [{"cell_type": kind, "source": [cell]} for cell in cells]})


@pytest.fixture
def handed_in(warm: WarmGrader, tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    def grade(text: str) -> dict[str, Any]:
        path = tmp_path / "38_patch_embed.ipynb"
        path.write_text(text, encoding="utf-8")
        return warm.grade(path, 38)

    return grade


@pytest.mark.parametrize("first", ["%%grade 38\n", "\n\n%%grade  patch_embed --seed 3\n\n"])
def test_the_one_cell_that_fits_is_graded(
    first: str, handed_in: Callable[[str], dict[str, Any]]
) -> None:
    others = ["%load_ext grader", f"%%grade 40\n{WRONG}", "%%grade 99\nx", "!ls"]
    verdict = handed_in(notebook(*others[:2], first + RIGHT, *others[2:]))
    assert verdict["passed"], verdict["checks"]
    assert verdict["file"].endswith("38_patch_embed.ipynb")
    assert not handed_in(notebook(first + WRONG))["passed"]


def test_lines_are_counted_as_in_the_cell(handed_in: Callable[[str], dict[str, Any]]) -> None:
    (check,) = handed_in(notebook("%%grade 38\nx = 1\ny = undefined"))["checks"]
    assert "NameError" in check["message"]
    assert "line 3" in check["message"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (notebook(RIGHT), "no cell of it begins with %%grade 38"),
        (notebook(), "no cell of it begins with %%grade 38"),
        (notebook(f"%%grade 40\n{RIGHT}"), "no cell of it begins with %%grade 38"),
        (notebook(f"%%grade 38\n{RIGHT}", kind="markdown"), "no cell of it begins"),
        (notebook(f"%%grade 38\n{WRONG}", f"%%grade 38\n{RIGHT}"), TWICE),
        (notebook("%%grade 38\n\n"), "is empty"),
        (RIGHT, "no notebook that can be read"),
        ("[1, 2]", "no notebook that can be read"),
        ('{"cells": [3]}', "no notebook that can be read"),
        ("[" * 100_000, "no notebook that can be read"),
    ],
)
def test_a_notebook_without_one_answer_is_told_what_to_hand_in(
    text: str, says: str, handed_in: Callable[[str], dict[str, Any]]
) -> None:
    verdict = handed_in(text)
    assert failed_checks(verdict) == ["reads"]
    message = verdict["checks"][0]["message"]
    assert says in message
    assert "notebook" in message
    assert len(message.splitlines()) == 1


def test_on_the_command_line_that_is_wrong_usage(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "38_patch_embed.IPYNB"
    path.write_text(notebook(RIGHT))
    for words in ((str(path),), ("report", str(path), "--html", str(tmp_path / "page.html"))):
        done = command(*words)
        assert done.returncode == 2
        assert done.stdout == ""
        assert "this is a notebook, and no cell of it begins with %%grade 38" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    path.write_text(notebook(f"%%grade 38\n{RIGHT}"))
    assert command(str(path)).returncode == 0
    path.write_text("")
    assert command(str(path)).returncode == 1  # as for any other empty file


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("x = 1\n%matplotlib inline\n", "line 3 is a Jupyter command, %matplotlib inline: put it"),
        ("\udc80", "UTF-8"),
        ("\0", "binary"),
        ("#" * 2**20, "bytes"),
    ],
)
def test_a_cell_that_is_no_python_text_is_told_so(
    code: str, says: str, handed_in: Callable[[str], dict[str, Any]]
) -> None:
    verdict = handed_in(notebook(f"%%grade 38\n{code}{RIGHT}"))
    assert failed_checks(verdict) == ["reads"]
    assert says in verdict["checks"][0]["message"]


def test_the_outputs_of_a_notebook_may_be_large(
    handed_in: Callable[[str], dict[str, Any]],
) -> None:
    cells = json.loads(notebook(f"%%grade 38\n{RIGHT}"))
    cells["outputs"] = "x" * 2**21
    assert handed_in(json.dumps(cells))["passed"]


@pytest.mark.parametrize(
    "code",
    [
        "x = 1\n%matplotlib inline\n",
        "def f():\n    !echo it's (\n",
        "files = !ls\n",
        "x = %time f(1)\n",
        "x = 1\nx?\n",
        "?x\n",
        "# first\n\n%%time\nx = 1\n",
        "/f 1\n",
        "x = (1\n%y)\n",
        "x = '''\n%y\n!ls\n'''\n",
        "f(x=1 % 2)\n",
        "x = 7 \\\n% 2\n",
        "x = '?'\n",
        "# what is !ls?\n",
        "x != 1\n",
        "@wraps\ndef f(): ...\n",
    ],
)
def test_commands_are_recognised_as_ipython_does_it(code: str) -> None:
    transformer = pytest.importorskip("IPython.core.inputtransformer2")
    taken = transformer.TransformerManager()
    after = "".join(taken.do_token_transforms(code.splitlines(keepends=True)))
    assert (jupyter_command(code) is not None) == (after != code)

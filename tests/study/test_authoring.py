"""An author adds a problem: what is missing or does not fit is told in a line that names it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.catalogue import ROOT
from grader.study.problem_notebooks import text_for
from grader.study.stubs import stub_for

NEW = Path(__file__).with_name("new_problem")
STUBS = "grader.study.stubs"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A working copy to which somebody has added the spec of problem 42, not yet its solution."""
    for name in ("grader", "solutions", "problems"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    shutil.copy(NEW / "p42_mlp.py", tmp_path / "grader" / "specs")
    return tmp_path


@pytest.fixture
def run(course: Path) -> Run:
    """Run a module in that copy."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *words],
            cwd=course,
            env={**os.environ, "PYTHONPATH": str(course), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


@pytest.fixture
def solution(course: Path) -> Path:
    """The solution of problem 42, in its place."""
    return Path(shutil.copy(NEW / "42_mlp.py", course / "solutions"))


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


# --- while files are missing or broken ---------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        (STUBS,),
        (STUBS, "--check", "42"),
        ("grader", "show", "42"),
        ("grader", "solution", "42", "--give-up"),
        ("grader", "reset", "42"),
    ],
)
def test_a_missing_solution_is_named(words: tuple[str, ...], run: Run, course: Path) -> None:
    done = run(*words)
    assert done.returncode != 0
    (line,) = (done.stdout + done.stderr).splitlines()
    assert "problem 42 has no solution: there is no solutions/42_mlp.py" in line
    assert not (course / ".progress.json").exists()
    assert not (course / "problems/42_mlp.py").exists()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("number=42", "number=43", "p42_mlp.py: number 43"),
        ('slug="mlp"', 'slug="mpl"', "p42_mlp.py: number 42 and slug 'mpl'"),
        ('title="The MLP",', 'title="The MLP"', "p42_mlp.py, line 10: SyntaxError"),
        ("PROBLEM = ", "PROBLEMS = ", "p42_mlp.py defines no PROBLEM"),
        ("blocks=()", "blocks=(43,)", "p42_mlp.py: blocks: there is no earlier problem 43"),
        ('"hidden": 3}', '"hiden": 3}', "p42_mlp.py: the corner {'num_tokens': 1"),
        ('"H": s["hidden"]', '"H": s["hiden"]', "p42_mlp.py, line 24: KeyError: 'hiden'"),
        ('"tokens", "hidden")', '"tokens", "wide")', "nothing gives mlp_forward its wide"),
    ],
)
def test_a_spec_that_cannot_be_used_is_one_line(
    old: str, new: str, says: str, run: Run, course: Path
) -> None:
    change(course / "grader/specs/p42_mlp.py", old, new)
    done = run("grader", "hint", "42")
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("grader: grader/specs/p42_mlp.py") and says in line


CELLS = """\
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance(colors="NoColor")
shell.run_line_magic("load_ext", "grader")
for number in (42, 38):
    shell.run_cell(f"%%grade {number}\\nx = 1")
"""


def test_who_grades_again_and_again_is_told_the_same_and_goes_on(run: Run, course: Path) -> None:
    change(course / "grader/specs/p42_mlp.py", 'title="The MLP",', 'title="The MLP"')
    (course / "cells.py").write_text(CELLS)
    done = run("cells")
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.startswith("UsageError: grader/specs/p42_mlp.py, line 10: SyntaxError")
    assert "there is no function patch_embed_forward" in done.stdout


def test_a_solution_without_a_page_is_named(run: Run, solution: Path) -> None:
    change(solution, solution.read_text().partition("import")[0], "")
    for words in ((STUBS, "42"), ("grader", "show", "42")):
        done = run(*words)
        assert done.returncode != 0
        (line,) = (done.stdout + done.stderr).splitlines()
        assert "solutions/42_mlp.py has no docstring" in line


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("model = MLP(hidden)", "model = MLP(hiden)", "42_mlp.py, line 23: NameError"),
        ("def mlp_forward(", "def mlp_backward(", "42_mlp.py: AttributeError"),
    ],
)
def test_a_broken_solution_is_not_the_answers_fault(
    old: str, new: str, says: str, run: Run, solution: Path
) -> None:
    change(solution, old, new)
    done = run("grader", str(NEW / "42_mlp.py"), "--json")
    errors = [c["message"] for c in json.loads(done.stdout)["checks"] if c["status"] == "error"]
    assert [says in told and "not the answer" in told for told in errors] == [True]


# --- whether spec and solution fit -------------------------------------------------------------


def test_what_does_not_fit_is_told(run: Run, course: Path, solution: Path) -> None:
    assert run(STUBS, "42").stdout == "wrote problems/42_mlp.py\n"
    fitting = run(STUBS, "--check", "42")
    assert (fitting.returncode, fitting.stdout) == (0, "")
    spec = course / "grader/specs/p42_mlp.py"
    change(spec, 'outputs=("tokens",)', 'outputs=("tokens", "x")')
    change(spec, 'Edit("nn.gelu(h)"', 'Edit("h"')
    change(spec, 'Stage("up"', 'Stage("widened"')
    change(solution, "wide", "narrow")
    done = run(STUBS, "--check", "42")
    assert done.returncode == 1
    written, edit, outputs, stage = done.stdout.splitlines()
    assert written == "42_mlp.py is not what `make stubs` writes"
    assert edit.startswith("42_mlp: mlp-relu: 'h' stands ")
    assert outputs == "42_mlp: mlp_forward: outputs names 2 (tokens, x); the solution returns 1"
    assert stage.startswith("42_mlp: nothing is marked checkpoint_name(…, 'widened')")


# --- what is written over ----------------------------------------------------------------------


@pytest.mark.parametrize("module", [STUBS, "grader.study.problem_notebooks"])
def test_no_answer_is_written_over(module: str, run: Run, course: Path) -> None:
    notebook = module != STUBS
    text = text_for(46) if notebook else stub_for(46)
    name = "notebooks/46_vit_cls.ipynb" if notebook else "46_vit_cls.py"
    path = course / "problems" / name
    path.write_text("# mine\n")
    assert run(module, "--help").returncode == 0
    assert path.read_text() == "# mine\n"
    done = run(module, "46")
    kept = path.with_name(f"46_vit_cls.old-1{path.suffix}")
    assert done.stdout == f"wrote problems/{name}; what was there is kept in {kept.name}\n"
    assert kept.read_text() == "# mine\n"
    assert path.read_text() == text
    assert run(module, "46").stdout == ""


def test_what_git_has_needs_no_copy(run: Run, course: Path) -> None:
    stub = course / "problems/46_vit_cls.py"
    stub.write_text("# as it was made before\n")
    git = ["git", "-c", "user.name=author", "-c", "user.email=author@example.org"]
    for words in (["init", "-q"], ["add", "problems"], ["commit", "-q", "-m", "stubs"]):
        subprocess.run([*git, *words], cwd=course, check=True)
    assert run(STUBS, "46").stdout == "wrote problems/46_vit_cls.py\n"
    assert stub.read_text() == stub_for(46)
    stub.write_text("# mine\n")
    assert "kept in 46_vit_cls.old-1.py" in run(STUBS, "46").stdout


def test_mutants_explain_themselves() -> None:
    words = [sys.executable, "-m", "tests.mutants", "--help"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("usage:")

"""The problems that are whole models as notebooks: the page, an empty answer, ``%%grade``.

Made from the solutions like the stubs, and lying beside them in ``problems/notebooks/``, where a
student looks for problems.  ``python -m grader.study.problem_notebooks`` writes them.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grader import catalogue
from grader.study.stubs import asked, make_files, page_for, stub_for, tell

Notebook = dict[str, Any]

FOLDER = catalogue.PROBLEMS / "notebooks"
FIRST = 45
"""The problems from here on: those before are parts of a model."""

FIRST_CELL = """\
# Installs the package where it is missing. On Colab, clone or unpack the repository first.
import importlib.util
import subprocess
import sys
from pathlib import Path

if importlib.util.find_spec("grader") is None:
    here = Path.cwd()
    places = [here, *here.parents, *here.iterdir()]
    found = [place for place in places if (place / "grader/catalogue.py").is_file()]
    if not found:
        raise SystemExit("Put the course's repository into this folder, then run this cell again.")
    install = [sys.executable, "-m", "pip", "install", "-q", "-e", f"{found[0]}[notebooks]"]
    subprocess.run(install, check=True)
    sys.path.insert(0, str(found[0]))"""

_HOW = """\
## Your answer

Write it into the cell below and run the cell. It is graded on its own: imports belong into it,
and what other cells define does not count. Grading takes about two seconds."""


def notebook_of(cells: Sequence[tuple[str, str]], name: str) -> Notebook:
    """A notebook without outputs, in the format 4.5 of Jupyter.

    Args:
      cells: kind (``code`` or ``markdown``) and text of each.
      name: what the cells are called after, so that the same text gives the same file.

    """
    python = {"display_name": "Python 3", "language": "python", "name": "python3"}
    of_code: Notebook = {"execution_count": None, "outputs": []}
    return {
        "cells": [
            {
                "cell_type": kind,
                "id": f"{name}-{place}",
                "metadata": {},
                "source": text.splitlines(keepends=True),
                **(of_code if kind == "code" else {}),
            }
            for place, (kind, text) in enumerate(cells)
        ],
        "metadata": {"kernelspec": python, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def notebook_for(number: int) -> Notebook:
    """The notebook of a problem, as ``problems/notebooks/`` holds it at first."""
    problem = catalogue.problem(number)
    page = page_for(number)
    page = page.replace(f"python -m grader problems/{problem.filename}", f"%%grade {number}")
    title, _, rest = page.partition("\n")
    cells = [
        ("markdown", f"# {title.rstrip('.')}\n{rest}"),
        ("code", FIRST_CELL),
        ("code", "%load_ext grader"),
        ("markdown", _HOW),
        ("code", f"%%grade {number}\n{_answer(number, problem.filename)}"),
    ]
    return notebook_of(cells, f"problem-{number}")


def _answer(number: int, filename: str) -> str:
    """The stub without its page, which stands above."""
    stub = stub_for(number)
    first = ast.parse(stub).body[0]
    code = "\n".join(stub.splitlines()[first.end_lineno :]).strip()
    return code.replace(f" in problems/{filename}", "")


def text_for(number: int) -> str:
    """That notebook as the text of a file."""
    return json.dumps(notebook_for(number), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def path_for(number: int) -> Path:
    """Where it lies."""
    return FOLDER / catalogue.solution_path(number).with_suffix(".ipynb").name


def main(numbers: Sequence[int], check: bool = False) -> int:
    """Write notebooks; with ``check`` only say which ones differ.  Returns how much is wrong."""
    models = [number for number in numbers if number >= FIRST]
    return tell(make_files(models, path_for, text_for, check))


if __name__ == "__main__":
    sys.exit(1 if main(*asked(__doc__, "write nothing; say which ones differ")) else 0)

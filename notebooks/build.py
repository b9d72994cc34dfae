"""Make the notebooks from their sources, and run them.

    python -m notebooks.build              all of them
    python -m notebooks.build 00_tour      one
    python -m notebooks.build --text       take over changed text where the code is the same
    python -m notebooks.build --check      only say which ones are not what their source makes

They run from top to bottom in a copy of the repository, so that the cells that they grade count
as nobody's progress and nothing depends on what lies around here.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from grader.catalogue import ROOT
from notebooks.outputs import unwanted
from notebooks.source import FOLDER, SOURCES, names, notebook_of

_CELL_SECONDS = 1200
_COPIED = ("grader", "solutions", "problems", "notebooks", "tests/answers", "pyproject.toml")


class Unclean(Exception):
    """A notebook ran, but its outputs hold what they should not."""


def path_of(name: str) -> Path:
    """Where a notebook lies."""
    return FOLDER / f"{name}.ipynb"


def build(name: str) -> float:
    """Run a notebook and write it with its outputs; returns the seconds that it took.

    Raises:
      nbclient.exceptions.CellExecutionError: a cell raised.
      Unclean: the outputs hold warnings, addresses or paths.

    """
    text = (SOURCES / f"{name}.md").read_text(encoding="utf-8")
    began = time.perf_counter()
    done = run(notebook_of(text, name, 0.0))
    seconds = round(time.perf_counter() - began, 1)  # as it is stored
    found = unwanted(done)
    if found:
        raise Unclean(f"{name}: " + "; ".join(found))
    _write(name, notebook_of(text, name, seconds), done)
    return seconds


def retell(name: str) -> bool:
    """Write a notebook with the text of its source and the outputs that it has.

    Returns:
      Whether that was possible: whether its code is what the source says.

    """
    stored = nbformat.read(path_of(name), as_version=4)
    text = (SOURCES / f"{name}.md").read_text(encoding="utf-8")
    told = notebook_of(text, name, float(stored.metadata["seconds"]))
    if [c.source for c in _code_of(told)] != [c.source for c in _code_of(stored)]:
        return False
    _write(name, told, stored)
    return True


def _write(name: str, written: Any, ran: Any) -> None:
    """Write a notebook with the outputs of another that has the same code."""
    for cell, source in zip(_code_of(written), _code_of(ran), strict=True):
        cell.outputs, cell.execution_count = source.outputs, source.execution_count
    nbformat.validate(written)
    path_of(name).write_text(nbformat.writes(written) + "\n", encoding="utf-8")


def _code_of(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def run(notebook: Any) -> Any:
    """The notebook after all of its cells ran in a fresh kernel, in a copy of the repository."""
    with tempfile.TemporaryDirectory(prefix="notebook-") as folder:
        copy = Path(folder)
        for part in _COPIED:
            _copy(ROOT / part, copy / part)
        environment = {**os.environ, "PYTHONPATH": folder, "JAX_PLATFORMS": "cpu"}
        client = NotebookClient(
            notebook,
            timeout=_CELL_SECONDS,
            kernel_name="python3",
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": str(copy / "notebooks")}},
        )
        return client.execute(env=environment)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.ipynb"))
    else:
        shutil.copy(source, target)


def out_of_step() -> list[str]:
    """A line for each notebook that is not what its source makes."""
    found = []
    for name in names():
        path = path_of(name)
        if not path.exists():
            found.append(f"{path.name} is missing")
            continue
        stored = nbformat.read(path, as_version=4)
        text = (SOURCES / f"{name}.md").read_text(encoding="utf-8")
        wanted = notebook_of(text, name, float(stored.metadata["seconds"]))
        kept = [(cell.cell_type, cell.id, cell.source) for cell in stored.cells]
        if kept != [(cell.cell_type, cell.id, cell.source) for cell in wanted.cells]:
            found.append(f"{path.name} is not what its source makes")
    made = {f"{name}.ipynb" for name in names()}
    found += [f"{p.name} has no source" for p in FOLDER.glob("*.ipynb") if p.name not in made]
    return found


def main(words: list[str]) -> int:
    """Build what is asked for, or check; returns the exit status."""
    if words == ["--check"]:
        found = out_of_step()
        for line in found:
            print(f"{line}; make notebooks")
        return 1 if found else 0
    if words == ["--text"]:
        behind = [name for name in names() if not retell(name)]
        for name in behind:
            print(f"{name}: its code has changed; python -m notebooks.build {name}")
        return 1 if behind else 0
    unknown = [word for word in words if word not in names()]
    if unknown:
        print(f"there is no source {unknown[0]}; there are {', '.join(names())}", file=sys.stderr)
        return 2
    for name in words or names():
        print(f"{path_of(name).name}: {build(name):.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

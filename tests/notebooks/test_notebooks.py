"""The notebooks: made from their sources, clean, small, and running from top to bottom."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pytest

from notebooks import build
from notebooks.outputs import unwanted
from notebooks.source import SOURCES, BadSource, names, notebook_of, words_for

MEGABYTE = 2**20


def stored(name: str) -> Any:
    return nbformat.read(build.path_of(name), as_version=4)


def with_output(**output: Any) -> Any:
    cell = nbformat.v4.new_code_cell(outputs=[nbformat.v4.new_output(**output)])
    return nbformat.v4.new_notebook(cells=[cell])


def test_every_notebook_is_what_its_source_makes() -> None:
    assert build.out_of_step() == []
    assert len(names()) == 6


@pytest.mark.parametrize("name", names())
def test_the_stored_outputs_are_whole_and_clean(name: str) -> None:
    notebook = stored(name)
    nbformat.validate(notebook)
    assert unwanted(notebook) == []
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert any(cell.outputs for cell in code)


@pytest.mark.parametrize("name", names())
def test_each_opens_with_what_it_needs_and_how_long_it_takes(name: str) -> None:
    notebook = stored(name)
    first = notebook.cells[0].source
    assert first.startswith("# ")
    for word in ("**Needs**", "**Takes**", "**Afterwards you can**"):
        assert word in first
    assert words_for(notebook.metadata["seconds"]) in first
    assert "pip" in notebook.cells[1].source


@pytest.mark.parametrize("name", names())
def test_every_picture_has_a_caption(name: str) -> None:
    cells = stored(name).cells
    for cell, following in pairwise(cells):
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", ())):
            assert following.source.startswith("*Figure"), cell.source


def test_together_they_are_small() -> None:
    assert sum(build.path_of(name).stat().st_size for name in names()) < 4 * MEGABYTE


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ({"output_type": "stream", "name": "stdout", "text": "saved to /home/me/run"}, "a path"),
        ({"output_type": "stream", "name": "stdout", "text": "<f at 0x7f3a12bc90>"}, "a memory"),
        ({"output_type": "stream", "name": "stderr", "text": "hm"}, "stderr"),
        ({"output_type": "stream", "name": "stdout", "text": "UserWarning: no"}, "a warning"),
        ({"output_type": "error", "ename": "ValueError", "evalue": "no"}, "ValueError: no"),
        ({"output_type": "display_data", "data": {"text/html": "<p>/tmp/x"}}, "a path"),
    ],
)
def test_what_should_not_be_stored_is_seen(output: dict[str, Any], told: str) -> None:
    (line,) = unwanted(with_output(**output))
    assert told in line


def test_ordinary_outputs_and_embedded_pictures_are_not_complained_of() -> None:
    html = '<a href="https://example.org/tmp/x"><img src="data:image/png;base64,/tmp/0x12345678=">'
    assert unwanted(with_output(output_type="display_data", data={"text/html": html})) == []
    plain = "shape (3, 4), problems/46_vit_cls.py, 1/2"
    assert unwanted(with_output(output_type="stream", name="stdout", text=plain)) == []


def test_a_source_becomes_cells_and_keeps_other_fences() -> None:
    text = "# T\n{took}\n\n```python\na = 1\n```\n```text\nls\n```\n\n```python\nb\n```\n"
    cells = notebook_of(text, "x", 125).cells
    assert [cell.cell_type for cell in cells] == ["markdown", "code", "code", "markdown", "code"]
    assert cells[0].source == "# T\n2 minutes"
    assert cells[2].source == "a = 1"
    assert cells[3].source == "```text\nls\n```"
    assert [cell.id for cell in cells] == [f"x-{i}" for i in range(5)]


@pytest.mark.parametrize("text", ["```python\n1\n```", "# T\n", "# {took}\n```python\nopen"])
def test_a_source_that_is_none_is_turned_down(text: str) -> None:
    with pytest.raises(BadSource):
        notebook_of(text, "x", 1)


def test_a_changed_source_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in names():
        (tmp_path / f"{name}.md").write_text((SOURCES / f"{name}.md").read_text())
    monkeypatch.setattr("notebooks.source.SOURCES", tmp_path)
    monkeypatch.setattr(build, "SOURCES", tmp_path)
    assert build.out_of_step() == []
    with (tmp_path / "00_tour.md").open("a") as file:
        file.write("\nMore.\n")
    assert build.out_of_step() == ["00_tour.ipynb is not what its source makes"]


def test_text_is_taken_over_without_running_and_code_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "SOURCES", tmp_path)
    monkeypatch.setattr(build, "path_of", lambda name: tmp_path / f"{name}.ipynb")
    source = tmp_path / "x.md"
    ran = notebook_of("# T {took}\n```python\n1\n```\n", "x", 5)
    ran.cells[2].outputs = with_output(output_type="stream", text="one").cells[0].outputs
    build.path_of("x").write_text(nbformat.writes(ran))
    source.write_text("# Another T {took}\n```python\n1\n```\n")
    assert build.retell("x")
    kept = nbformat.read(build.path_of("x"), as_version=4)
    assert kept.cells[0].source == "# Another T 5 seconds"
    assert kept.cells[2].outputs[0].text == "one"
    source.write_text("# Another T {took}\n```python\n2\n```\n")
    assert not build.retell("x")


def test_an_unknown_name_is_a_matter_of_usage() -> None:
    command = [sys.executable, "-m", "notebooks.build", "99_nothing"]
    done = subprocess.run(command, cwd=build.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("there is no source 99_nothing; there are 00_tour, ")


def test_the_tour_runs_and_says_what_it_said() -> None:
    """CI runs this one; `make notebooks` runs all."""
    text = (SOURCES / "00_tour.md").read_text(encoding="utf-8")
    done = build.run(notebook_of(text, "00_tour", 1))
    assert unwanted(done) == []
    shown = [
        output.data["text/plain"]
        for cell in done.cells
        for output in cell.get("outputs", ())
        if "text/html" in output.get("data", {})
    ]
    wrong, right = shown
    assert "Not passed" in wrong
    assert "the last row is read instead of row 0" in wrong
    assert "Passed · score 1.00" in right

"""The verdict as HTML: a page that needs nothing else, or a part of one for a notebook.

Whatever comes from a submission (names, messages, prints) goes through the template engine's
escaping; the page forbids scripts and everything from outside besides.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from grader import __version__
from grader.pictures import Attention, Pictures, Result
from grader.problem import Problem
from grader.report.heat_map import limit_of, picture, signed_map, weights_map
from grader.report.text import (
    every_stage_words,
    functions_that_part,
    harmless,
    nearest_words,
    on_one_line,
)
from grader.verdict import StageLine, Verdict

MARK = '<meta name="generator" content="vit-problems'
"""What a page written here begins with; only such a file is written over."""


def write_page(path: Path, verdict: Verdict, problem: Problem, pictures: Pictures) -> None:
    """Write the page, at once and whole.

    Raises:
      OSError: it cannot be written there.

    """
    check_destination(path)
    text = page(verdict, problem, pictures)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


def check_destination(path: Path) -> None:
    """Whether a page may be written to ``path``.

    Raises:
      OSError: a folder, a missing folder, a pipe or the like, or a file that is no page of the
        grader.

    """
    if path.is_dir():
        raise IsADirectoryError("it is a folder; name a file, e.g. page.html")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent}")
    if path.exists() and not path.is_file():
        raise OSError("it is no file that a page could be written to; name one, e.g. page.html")
    if path.exists():
        with open(path, encoding="utf-8", errors="replace") as stream:
            if MARK not in stream.read(500):
                raise FileExistsError("it is there already and no page of the grader")


def page(verdict: Verdict, problem: Problem, pictures: Pictures) -> str:
    """The whole page."""
    return _render("page.html", verdict, problem, pictures, shown_file=verdict.file)


def fragment(verdict: Verdict, problem: Problem, pictures: Pictures) -> str:
    """The part that a notebook shows under a cell."""
    return _render("cell.html", verdict, problem, pictures, shown_file="")


def _render(
    template: str, verdict: Verdict, problem: Problem, pictures: Pictures, shown_file: str
) -> str:
    return (
        _environment()
        .get_template(template)
        .render(
            version=__version__,
            verdict=verdict,
            problem=problem,
            file=shown_file,
            traces=_traces(verdict, pictures),
            results=[_result(result) for result in pictures.results],
            attention=_attention(pictures.attention) if pictures.attention else None,
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["harmless"] = harmless
    environment.filters["on_one_line"] = on_one_line
    environment.filters["nearest"] = nearest_words
    environment.filters["short"] = lambda number: f"{number:.4g}"
    return environment


def _traces(verdict: Verdict, pictures: Pictures) -> list[dict[str, Any]]:
    """For each function its stages as ``(title, state)``: they agree, they part, unknown."""
    if verdict.passed:
        stages = [(title, "same") for title in pictures.stages]
        return (
            [{"function": "", "stages": stages, "steps": [], "told": "", "nearest": []}]
            if stages
            else []
        )
    traces = []
    for function in functions_that_part(verdict):
        lines = [stage for stage in verdict.stages if stage.function == function]
        near = [value for value in verdict.nearest if value.function == function]
        traces.append({"function": function, "nearest": near, **_trace(lines)})
    return traces


def _trace(stages: list[StageLine]) -> dict[str, Any]:
    """The stages, and the steps inside the block where the two part, if one of those is open."""
    own = [stage for stage in stages if not stage.inside]
    inside = [stage for stage in stages if stage.inside]
    end = next((i for i, stage in enumerate(own) if stage.parts), len(own))
    open_step = next((i for i, stage in enumerate(inside) if not stage.found), None)
    every = end == len(own)
    told = every_stage_words(own) if every else f'from "{own[end].title}" on they differ'
    return {
        "stages": _states(own, end),
        "steps": [] if open_step is None else _states(inside, open_step),
        "told": told,
    }


def _states(stages: list[StageLine], end: int) -> list[tuple[str, str]]:
    states = ["same"] * end + ["apart"] + ["unknown"] * len(stages)
    return [(stage.title, state) for stage, state in zip(stages, states, strict=False)]


def _result(result: Result) -> dict[str, Any]:
    expected = np.array(result.expected, float)
    actual = None if result.actual is None else np.array(result.actual, float)
    same_shape = result.actual_shape is not None and tuple(result.actual_shape) == tuple(
        result.shape
    )
    maps = []
    limit = limit_of(expected, actual)
    maps.append(("expected", signed_map(expected, limit, f"{result.label}, expected"), limit))
    if actual is not None:
        maps.append(("actual", signed_map(actual, limit, f"{result.label}, actual"), limit))
    if actual is not None and same_shape:
        gap = actual - expected
        largest = limit_of(gap)
        maps.append(("difference", signed_map(gap, largest, f"{result.label}, gap"), largest))
    shown = expected.shape != (_product(result.shape[:-1]), result.shape[-1] if result.shape else 1)
    return {
        "label": result.label,
        "shape": tuple(result.shape),
        "actual_shape": None if result.actual_shape is None else tuple(result.actual_shape),
        "maps": maps,
        "cut": shown,
    }


def _product(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape)) if shape else 1


def _attention(attention: Attention) -> dict[str, Any]:
    heads = []
    for i, pair in enumerate(attention.maps):
        expected = np.array(pair.expected, float)
        actual = None if pair.actual is None else np.array(pair.actual, float)
        limit = limit_of(expected, actual)
        sides = [("yours", actual), ("the reference's", expected)]
        heads.append(
            {
                "number": i + 1,
                "maps": [
                    (side, _of_head(values, limit, attention.grid, f"head {i + 1}, {side}"))
                    for side, values in sides
                ],
                "told": _agreement(expected, actual),
            }
        )
    image = None
    if attention.image is not None:
        image = picture(_as_colours(np.array(attention.image, float)), attention.input)
    return {
        "input": attention.input,
        "image": image,
        "heads": heads,
        "message": attention.message,
        "grid": attention.grid,
    }


def _of_head(
    values: np.ndarray | None, limit: float, grid: tuple[int, int] | None, title: str
) -> list[Markup]:
    """The weights, and what token 0 takes from each patch where it is the CLS token."""
    if values is None:
        return []
    maps = [weights_map(values, limit, title)]
    if grid is not None and values.shape == (1 + grid[0] * grid[1],) * 2:
        row = values[0, 1:].reshape(tuple(grid))
        maps.append(weights_map(row, limit_of(row), f"{title}: the CLS token on the patches"))
    return maps


def _agreement(expected: np.ndarray, actual: np.ndarray | None) -> str:
    if actual is None:
        return "none to compare"
    if actual.shape != expected.shape:
        return f"{actual.shape[0]} tokens in place of {expected.shape[0]}"
    gap = float(np.abs(actual - expected).max())
    return "the same" if gap < 1e-6 else f"they differ by up to {gap:.3g}"


def _as_colours(image: np.ndarray) -> np.ndarray:
    """An (H, W, C) image with values from 0 to 1 as (H, W, 3) from 0 to 255."""
    channels = image.shape[-1]
    shown = image[..., :3] if channels >= 3 else np.repeat(image[..., :1], 3, axis=-1)
    colours: np.ndarray = shown.clip(0, 1) * 255
    return colours

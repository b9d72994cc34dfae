"""A report: one HTML file that needs no other, with Matplotlib's pictures inside."""

from __future__ import annotations

import base64
import html
import io
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_DPI = 110
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 66rem; margin: 2rem auto; padding: 0 1rem;
       color: #1b1b1b; background: #fff }
h1 { font-size: 1.6rem; margin-bottom: 0 } h2 { font-size: 1.15rem; margin: 2.2rem 0 0 }
img { max-width: 100%; height: auto }
pre { background: #f2f2f2; padding: .7rem; white-space: pre-wrap; overflow-wrap: anywhere }
table { border-collapse: collapse; margin: .5rem 0 }
td, th { padding: .1rem 1.1rem .1rem 0; text-align: left; vertical-align: top }
td { font-variant-numeric: tabular-nums } tbody th { white-space: nowrap }
thead th { border-bottom: 1px solid #999 }
p.note { color: #555; margin: 0 0 .4rem }
@media (max-width: 40rem) { table { display: block; overflow-x: auto } }
"""


def page(title: str, parts: Iterable[str]) -> str:
    """The whole file: ``parts`` are pieces of HTML."""
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width'>"
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>"
        + "\n".join(part for part in parts if part)
        + "</body></html>\n"
    )


def heading(text: str) -> str:
    """The title at the top."""
    return f"<h1>{html.escape(text)}</h1>"


def section(title: str, *words: str) -> str:
    """The title of a section and a line for each of ``words`` that is not empty."""
    return f"<h2>{html.escape(title)}</h2>" + "".join(map(note, filter(None, words)))


def note(words: str) -> str:
    """A line of small print."""
    return f"<p class=note>{html.escape(words)}</p>"


def command(text: str) -> str:
    """What was typed."""
    return f"<pre>{html.escape(text)}</pre>"


def table(rows: Iterable[Sequence[object]], header: Sequence[object] = ()) -> str:
    """Rows whose first cell is their name; ``header`` has a name for each column."""
    head = "".join(f"<th>{html.escape(str(cell))}</th>" for cell in header)
    body = "".join(
        f"<tr><th>{html.escape(str(first))}</th>"
        + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in rest)
        + "</tr>"
        for first, *rest in rows
    )
    return (
        f"<table>{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{body}</tbody></table>"
    )


def fields(values: Mapping[str, object]) -> str:
    """A table of names and values."""
    return table(values.items())


def picture(figure: Any, alternative: str) -> str:
    """A figure as a picture; ``alternative`` says in words what is on it."""
    return embedded(png(figure), alternative)


def png(figure: Any) -> bytes:
    """A figure as a file."""
    buffer = io.BytesIO()
    # What laid itself out needs no second pass that looks for its edges.
    edges = None if figure.get_layout_engine() else "tight"
    with warnings.catch_warnings():  # of letters that its font lacks, in the names of classes
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="png", dpi=_DPI, bbox_inches=edges)
    return buffer.getvalue()


def embedded(file: bytes, alternative: str) -> str:
    """A PNG file within the page."""
    encoded = base64.b64encode(file).decode()
    return (
        f"<img alt='{html.escape(alternative, quote=True)}' src='data:image/png;base64,{encoded}'>"
    )


def figure(width: float, height: float, layout: str | None = "constrained") -> Any:
    """A figure, in inches, that no window and no global state of pyplot knows of."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout=layout)


def images(rows: int, columns: int, side: float, titles: bool = True) -> tuple[Any, Any]:
    """A figure of many small images, ``side`` inches each, and its axes (rows, columns).

    Laying so many axes out takes seconds, so they stand in a plain grid, to the edges of the
    figure: what stands outside (names of rows, a colour bar) is kept when the picture is saved.
    ``titles`` leaves room for a line above each.
    """
    from matplotlib.figure import Figure

    across, down = 0.08, 0.22 if titles else 0.08
    # The gaps are in units of an image's side; so it comes out square.
    height = (rows + (rows - 1) * down) / (columns + (columns - 1) * across) * columns
    made = Figure(figsize=(side * columns, side * height))
    grid = {"left": 0, "right": 1, "bottom": 0, "top": 1, "wspace": across, "hspace": down}
    axes = made.subplots(rows, columns, squeeze=False, gridspec_kw=grid)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    return made, axes

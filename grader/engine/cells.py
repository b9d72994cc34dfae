"""Answers that are cells of a notebook: which cell it is, and what in it only Jupyter knows.

Reads notebooks as JSON and lines as tokens, so that neither ``nbformat`` nor IPython is needed.
"""

from __future__ import annotations

import io
import itertools
import json
import re
import tokenize
from collections.abc import Iterator
from typing import Any

from grader import catalogue

_FIRST_LINE = re.compile(r"(?:[ \t]*\n)*%%grade[ \t]+(\S+)[^\n]*(?:\n|$)")
_ESCAPES = ("%", "!", "?", ",", ";", "/")
"""What a line begins with that IPython takes for a command; no statement of Python does."""
_PASSED_OVER = (tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT)
_MOST_SHOWN = 40


class NoAnswer(Exception):
    """A notebook in which no cell, or no single one, is the answer to a problem."""


def answer_in(notebook: str, number: int) -> str:
    """The code of the one cell that begins with ``%%grade NUMBER``.

    Args:
      notebook: the text of an ``.ipynb`` file.
      number: the problem.

    Returns:
      The code, its lines counted as in the cell: empty ones stand for what goes before it.

    Raises:
      NoAnswer: the text is no notebook, or the cell is missing, empty or not the only one.

    """
    instead = "or hand in the code as a .py file"
    try:
        cells = json.loads(notebook)["cells"]
        code = [_text(cell) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise NoAnswer(f"this is no notebook that can be read; save it again, {instead}") from None
    found = [answer for text in code if (answer := _answer(text, number)) is not None]
    if len(found) != 1:
        many = f"{len(found)} cells of it begin" if found else "no cell of it begins"
        told = f"this is a notebook, and {many} with %%grade {number}"
        raise NoAnswer(f"{told}; hand in one in which exactly one does, {instead}")
    if not found[0].strip():
        raise NoAnswer(f"the cell of this notebook that begins with %%grade {number} is empty")
    return found[0]


def _text(cell: dict[str, Any]) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def _answer(text: str, number: int) -> str | None:
    """The code below ``%%grade NUMBER``, None where the cell begins otherwise."""
    first = _FIRST_LINE.match(text)
    try:
        if first is None or catalogue.number_of(first[1]) != number:
            return None
    except catalogue.UnknownProblem:
        return None
    return "\n" * first[0].count("\n") + text[first.end() :]


def jupyter_command(code: str) -> str | None:
    """That a line is a magic or a shell command, which is no Python; None where none is.

    Lines are recognised as IPython does it: by how a statement begins, by what is assigned, and
    by a ``?`` at its end.
    """
    for statement in _statements(code):
        if _is_command([token.string for token in statement]):
            line = statement[0].start[0]
            text = code.split("\n")[line - 1].strip()
            text = text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "…"
            return f"line {line} is a Jupyter command, {text}: put it into a cell of its own"
    return None


def _statements(code: str) -> Iterator[list[tokenize.TokenInfo]]:
    """The tokens of each statement; where there are none to be made, what there is until then."""
    tokens: list[tokenize.TokenInfo] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type == tokenize.NEWLINE and tokens:
                yield tokens
                tokens = []
            elif token.type not in _PASSED_OVER and token.string.strip():
                tokens.append(token)
    except (tokenize.TokenError, SyntaxError):
        pass
    if tokens:
        yield tokens


def _is_command(words: list[str]) -> bool:
    if words[0] in _ESCAPES or words[-1] == "?":
        return True
    depth = 0
    for word, following in itertools.pairwise(words):
        depth += (word in ("(", "[", "{")) - (word in (")", "]", "}"))
        if word == "=" and depth == 0:
            return following in ("%", "!")
    return False

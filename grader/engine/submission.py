"""Run the text of a submission as a module, and tell its errors in its own lines."""

from __future__ import annotations

import inspect
import linecache
import re
import sys
import traceback
from types import ModuleType, TracebackType
from typing import Any

from grader.engine.called import signature_of_misfit
from grader.engine.elsewhen import furnish

MODULE_NAME = "submission"
_SHOWN_FRAMES = 6


def lines_of(source: str) -> list[str]:
    """The lines of a text as Python counts them: a form feed, say, begins none."""
    return re.split(r"\r\n|\r|\n", source)


def load(source: str, filename: str, name: str = MODULE_NAME) -> ModuleType:
    """Execute ``source`` as a fresh module, known to Python as ``name``."""
    code = compile(source, filename, "exec", dont_inherit=True)
    lines = [f"{line}\n" for line in lines_of(source)]
    linecache.cache[filename] = (len(source), None, lines, filename)
    module = ModuleType(name)
    module.__file__ = filename
    furnish(module)
    sys.modules[name] = module
    exec(code, module.__dict__)
    return module


def describe_error(error: BaseException, filename: str, source: str) -> dict[str, Any]:
    """What a report needs of an exception: type, message, and the submission's own frames.

    And whether the submission uses NumPy.
    """
    lines = lines_of(source)
    frames = []
    places = _places_in(filename, error)
    for place in places:
        number = place.tb_lineno
        code = lines[number - 1].strip() if 0 < number <= len(lines) else ""
        frames.append(
            {
                "line": number,
                "function": place.tb_frame.f_code.co_name,
                "code": code,
                "shapes": _shapes(place.tb_frame.f_locals, code),
            }
        )
    signature = ""
    if isinstance(error, TypeError) and places:
        signature = signature_of_misfit(message_of(error), places[-1], source)
    if isinstance(error, SyntaxError) and error.filename == filename and error.lineno:
        code = lines[error.lineno - 1].strip() if error.lineno <= len(lines) else ""
        frames = [{"line": error.lineno, "function": "", "code": code, "shapes": {}}]
    return {
        "type": type(error).__name__[:100],
        "message": message_of(error),
        "frames": frames[-_SHOWN_FRAMES:],
        "signature": signature[:200],
        "numpy": bool(re.search(r"^\s*(import|from)\s+numpy\b", source, re.MULTILINE)),
    }


def definition(function: Any, filename: str, source: str) -> list[dict[str, Any]]:
    """The line at which a function of the submission begins, in the form of a frame."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    lines = lines_of(source)
    if code is None or code.co_filename != filename or code.co_firstlineno > len(lines):
        return []
    number = code.co_firstlineno
    text = lines[number - 1].strip()
    return [{"line": number, "function": code.co_name, "code": text, "shapes": {}}]


def _places_in(filename: str, error: BaseException) -> list[TracebackType]:
    """The part of a traceback that lies in the submission, from the outside in."""
    places, place = [], error.__traceback__
    while place is not None:
        if place.tb_frame.f_code.co_filename == filename:
            places.append(place)
        place = place.tb_next
    return places


def is_unwritten(error: BaseException, filename: str) -> bool:
    """Whether the submission itself raised NotImplementedError: a stub still stands there."""
    frames = list(traceback.walk_tb(error.__traceback__))
    inner = frames[-1][0].f_code.co_filename if frames else ""
    return isinstance(error, NotImplementedError) and inner == filename


def message_of(error: BaseException) -> str:
    """``str(error)``, also of an exception whose ``__str__`` raises."""
    try:
        text = error.msg if isinstance(error, SyntaxError) else str(error)
        return str(text)[:2000]
    except BaseException:
        return "(its message cannot be shown)"


def _shapes(variables: dict[str, Any], code: str) -> dict[str, str]:
    """The shapes of the arrays that a line of code names."""
    shapes = {}
    for name, value in variables.items():
        if name in code and type(name) is str:
            shape = getattr(value, "shape", None)
            if type(shape) is tuple and len(shape) < 12:
                shapes[name] = str(tuple(int(n) for n in shape if type(n) is int))
    return shapes

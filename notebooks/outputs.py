"""What stored outputs must not hold: errors, warnings, addresses, paths of the machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_UNWANTED = {
    "a path of this machine": re.compile(
        r"(?<![\w./-])/(?:home|tmp|root|usr|opt|var|work|mnt|content|Users|private)/"
    ),
    "a memory address": re.compile(r"\b0x[0-9a-fA-F]{6,}\b"),
    "a warning": re.compile(r"\b\w*Warning\b"),
    "a traceback": re.compile(r"Traceback \(most recent call last\)"),
}
_EMBEDDED = re.compile(r"data:image/\w+;base64,[A-Za-z0-9+/=]+")


def unwanted(notebook: Any) -> list[str]:
    """A line for everything in the outputs that should not be there."""
    found = []
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", ()):
            found += [f"cell {number}: {what}" for what in _in_output(output)]
    return found


def _in_output(output: Any) -> Iterator[str]:
    if output["output_type"] == "error":
        yield f"an error, {output['ename']}: {output['evalue']}"
        return
    if output["output_type"] == "stream" and output["name"] == "stderr":
        yield f"text on stderr: {output['text'].strip()[:200]}"
    for text in _texts(output):
        for what, pattern in _UNWANTED.items():
            match = pattern.search(_EMBEDDED.sub("", text))
            if match:
                yield f"{what}: {text[max(0, match.start() - 20) : match.end() + 40]!r}"


def _texts(output: Any) -> Iterator[str]:
    if output["output_type"] == "stream":
        yield output["text"]
    for kind, content in output.get("data", {}).items():
        if kind.startswith("text/") or kind == "image/svg+xml":
            yield content

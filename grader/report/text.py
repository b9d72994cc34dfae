"""Make text from a submission harmless, and find signs that a terminal can show."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from grader.verdict import Nearest


def harmless(text: str) -> str:
    r"""``text`` with control and formatting characters made visible (``\x1b``), lines kept."""
    return "".join(
        c
        if c in "\n\t" or unicodedata.category(c)[0] != "C"
        else c.encode("unicode_escape").decode()
        for c in text
    )


@dataclass(frozen=True)
class Signs:
    """The few signs that a report uses."""

    passed: str = "✓"
    failed: str = "✗"
    skipped: str = "–"
    arrow: str = "→"
    dot: str = "·"

    @classmethod
    def for_encoding(cls, encoding: str | None) -> Signs:
        """Plain letters where the terminal cannot show Unicode."""
        try:
            "✓✗–→·".encode(encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            return cls("ok", "X", "-", "->", "-")
        return cls()


def nearest_words(value: Nearest) -> str:
    """Which line makes the value nearest to what should have come up, and how it differs."""
    what, how = harmless(value.what), harmless(value.difference)
    if not value.line:
        return f"{what}: it is {how}" if how else ""
    line = f"line {value.line} makes the nearest value to {what}"
    return f"{line}; it is {how}" if how else line

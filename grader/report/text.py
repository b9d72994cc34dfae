"""Make text from a submission harmless, and find signs that a terminal can show."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass


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

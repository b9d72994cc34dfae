"""Make text from a submission harmless, and find signs that a terminal can show."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from grader.verdict import Nearest, StageLine, Verdict


def harmless(text: str) -> str:
    r"""``text`` with control and formatting characters made visible (``\x1b``), lines kept."""
    return "".join(
        c
        if c in "\n\t" or unicodedata.category(c)[0] != "C"
        else c.encode("unicode_escape").decode()
        for c in text
    )


def on_one_line(text: str) -> str:
    r"""Harmless, and with ends of lines made visible, too: a name that is no more than a name."""
    return harmless(text.replace("\n", r"\n").replace("\t", r"\t"))


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


def functions_that_part(verdict: Verdict) -> list[str]:
    """The functions of which something is known of where they part from the reference."""
    told = [value.function for value in verdict.nearest if nearest_words(value)]
    return list(dict.fromkeys([*(stage.function for stage in verdict.stages), *told]))


def every_stage_words(stages: Sequence[StageLine]) -> str:
    """That no stage of some differs, and whether the difference lies behind the last one."""
    if not stages:
        return ""
    beyond = any(stage.after for stage in stages)
    return "every stage came up" + ("; the difference is in what follows" if beyond else "")


def nearest_words(value: Nearest) -> str:
    """Which line makes the value nearest to what should have come up, and how it differs."""
    what, how = harmless(value.what), harmless(value.difference)
    if not value.line:
        return f"{what}: it is {how}" if how else ""
    if what.startswith("the first "):  # that is not finite: it stands in no other's place
        return f"line {value.line} makes {what}; it is {how}"
    line = f"line {value.line} makes the nearest value to {what}"
    return f"{line}; it is {how}" if how else line

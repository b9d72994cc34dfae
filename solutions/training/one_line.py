"""What other packages say of an error, as part of a line."""

from __future__ import annotations

_MOST = 250


def one_line(error: BaseException) -> str:
    """Its first line, or its type where it says nothing; what is too long ends after a word."""
    told = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip()
    if len(told) <= _MOST:
        return told
    return f"{told[:_MOST].rsplit(' ', 1)[0]} …"

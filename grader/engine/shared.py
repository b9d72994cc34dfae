"""Parameters that a submission uses at several places where each should have its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from grader.engine.layout import Leaf
from grader.engine.mismatch import Mismatch

_FEW = 3


def without_shared(
    mismatch: Mismatch, reference: Sequence[Leaf], submission: Sequence[Leaf]
) -> tuple[str, Mismatch]:
    """What serves at several places while its like is missing, in words, and what is left to tell.

    Args:
      mismatch: what the submission lacks, and what it has instead.
      reference: the parameters of the reference.
      submission: those of the submission.

    Returns:
      A line, empty where nothing is shared, and the mismatch without what it names.

    """
    lacking = [reference[member] for slot in mismatch.missing for member in slot.members]
    like = {(leaf.size, leaf.role) for leaf in lacking}
    again = [leaf for leaf in submission if leaf.times > 1 and (leaf.size, leaf.role) in like]
    if not again:
        return "", mismatch
    times = max(leaf.times for leaf in again)
    extra = tuple(leaf for leaf in mismatch.extra if leaf.times < 2)
    most = [leaf for leaf in again if leaf.times == times]
    names = [f"'{name}'" for name in _modules(most, submission)]
    told = f"{', '.join(names[:_FEW])}{' …' * (len(names) > _FEW)}"
    verb = "is" if len(names) == 1 else "are"
    return (
        f"{told} {verb} used at {times} places; each should have parameters of its own",
        replace(mismatch, extra=extra),
    )


def _modules(again: Sequence[Leaf], leaves: Sequence[Leaf]) -> list[str]:
    """The outermost modules that consist of these parameters alone, or else the parameters."""
    others = [leaf.path.split("/") for leaf in leaves if leaf not in again]
    found: dict[str, None] = {}
    for leaf in again:
        names = leaf.path.split("/")
        ends = range(1, len(names) + 1)
        end = next(n for n in ends if n == len(names) or names[:n] not in [o[:n] for o in others])
        found["/".join(names[:end])] = None
    return list(found)

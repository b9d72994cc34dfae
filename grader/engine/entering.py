"""What goes into a stage: the sequence that the stage before it left, after its LayerNorm.

Where a stage does not come up, the mistake may lie in it or in what it was given.  The references
name the first value behind a product (the scores of an attention); what enters that product has no
name, but it stands between.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grader.engine.compare import close
from grader.engine.stages import StageFinding, StageValue, find_stages, marks
from grader.engine.traced import Intermediate

TITLE = "normalised tokens"


def given_otherwise(
    seen: Sequence[Intermediate],
    stages: Sequence[StageValue],
    findings: Sequence[StageFinding],
    first: int,
    values: Sequence[np.ndarray],
) -> StageValue | None:
    """What should enter the first stage that did not come up, where that is missing already.

    Args:
      seen: the reference's values, in the order in which they came up.
      stages: of the reference.
      findings: which of them came up in the submission.
      first: the place of the first one that did not.
      values: the submission's.

    """
    known = (
        stage for stage, finding in zip(stages[:first], findings, strict=False) if finding.found
    )
    before = next(
        (stage for stage in reversed([*known]) if stage.rows and stage.value.ndim == 2), None
    )
    if before is None:
        return None
    given = _entering(seen, before, stages[first])
    if given is None or find_stages([given], values, [0] * len(values), marks(values))[0].found:
        return None
    return given


def _entering(
    seen: Sequence[Intermediate], before: StageValue, after: StageValue
) -> StageValue | None:
    """The last value of the shape (T, D) of ``before`` that leads from it to ``after``'s product.

    None where nothing stands between, as before a stage that is itself such a value.
    """
    named = [place for place, item in enumerate(seen) if item.stage is not None]
    rows, width = before.value.shape
    of_a_norm = {(rows, width), (rows, 1), (rows,), (1, width), (width,), ()}
    last = None
    for item in seen[named[before.number] + 1 : named[after.number]]:
        if item.value.shape not in of_a_norm:
            break
        if item.value.shape == before.value.shape:
            last = item.value
    if last is None or close(last, after.value) or close(last, before.value):
        return None
    return StageValue("", TITLE, last, before.rows, frozenset(), -1)

"""``normalized_l1``: how it is called, and what holds for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from grader.problem import ArraySpec, Contract, Property, Run, Sizes
from grader.specs.claims import NEARLY, same

SHORT = 2.0**-13


def _embeddings(sizes: Sizes) -> dict[str, ArraySpec]:
    """Rows of different lengths; the teacher's are longer, so that scaling them matters."""
    shape = (sizes["batch"], sizes["embedding"])
    return {"student": ArraySpec(shape, scale=3.0), "teacher": ArraySpec(shape, scale=10.0)}


def _call_loss(
    function: Callable[..., Any], seed: int, sizes: Sizes, arrays: Mapping[str, Any]
) -> dict[str, Any]:
    """The loss of one batch, with and without ``norm``."""
    student, teacher = arrays["student"], arrays["teacher"]
    return {
        "loss": function(student, teacher, sizes["norm"]),
        "loss with the default norm": function(student, teacher),
    }


def _parallel(run: Run, arrays: Mapping[str, Any], sizes: Sizes) -> bool:
    losses = run({"student": 0.25 * arrays["teacher"], "teacher": arrays["teacher"]})
    return all(abs(loss) < NEARLY * sizes["norm"] for loss in losses)


def _one_parallel(run: Run, arrays: Mapping[str, Any], sizes: Sizes) -> bool:
    """Without what one row adds, the loss is that of a batch in which this row is parallel."""
    student, teacher = arrays["student"], arrays["teacher"]
    count = len(student)
    parallel = student.copy()
    parallel[0] = 0.25 * teacher[0]
    alone = {name: arrays[name][[0] * count] for name in ("student", "teacher")}
    losses = zip(run(arrays), run(alone), run({**arrays, "student": parallel}), strict=True)
    return all(same(whole, rest + row / count) for whole, row, rest in losses)


def _scale_free(run: Run, arrays: Mapping[str, Any], sizes: Sizes) -> bool:
    plain = run(arrays)
    scaled = run({"student": 2.0 * arrays["student"], "teacher": 0.5 * arrays["teacher"]})
    return all(same(one, other) for one, other in zip(plain, scaled, strict=True))


def _short_rows(run: Run, arrays: Mapping[str, Any], sizes: Sizes) -> bool:
    """A constant against division by 0 may show in the third digit of rows as short as these."""
    plain = run(arrays)
    for side in ("student", "teacher"):
        short = run({**arrays, side: SHORT * arrays[side]})
        pairs = zip(plain, short, strict=True)
        if any(abs(one - other) > 3e-3 * abs(one) for one, other in pairs):
            return False
    return True


CONTRACT = Contract(
    function="normalized_l1",
    arguments=("student", "teacher", "norm"),
    outputs=("loss", "loss with the default norm"),
    arrays=_embeddings,
    call=_call_loss,
    creates_parameters=False,
    properties=(
        Property("the loss of parallel embeddings is 0", _parallel),
        Property("a parallel row counts in the mean, as 0", _one_parallel),
        Property("scaling either side changes nothing", _scale_free),
        Property("very short rows count as much as long ones", _short_rows),
    ),
)

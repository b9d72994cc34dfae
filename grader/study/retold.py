"""A verdict and its pictures that were told as plain data, as what they were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grader.pictures import Attention, AttentionMap, Pictures, Result
from grader.verdict import Check, Counterexample, Diagnosis, StageLine, Verdict


def verdict_from(told: Mapping[str, Any]) -> Verdict:
    """The verdict whose ``dataclasses.asdict`` this is (also after a journey as JSON)."""
    example = told["counterexample"]
    return Verdict(
        **{
            **told,
            "checks": tuple(Check(**check) for check in told["checks"]),
            "diagnoses": tuple(Diagnosis(**diagnosis) for diagnosis in told["diagnoses"]),
            "stages": tuple(StageLine(**stage) for stage in told["stages"]),
            "remarks": tuple(told["remarks"]),
            "notes": tuple(told["notes"]),
            "counterexample": None if example is None else Counterexample(**example),
        }
    )


def pictures_from(told: Mapping[str, Any]) -> Pictures:
    """The pictures whose ``dataclasses.asdict`` this is."""
    attention = told["attention"]
    if attention is not None:
        maps = tuple(AttentionMap(**pair) for pair in attention["maps"])
        attention = Attention(**{**attention, "maps": maps})
    results = tuple(Result(**result) for result in told["results"])
    return Pictures(results, tuple(told["stages"]), attention)

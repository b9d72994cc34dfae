"""A verdict that was told as plain data, as a verdict again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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

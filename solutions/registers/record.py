"""What ``study.json`` says of a model: every number of the page, without the pictures."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from solutions.registers.moments import Moment
from solutions.registers.panels import Examined
from solutions.registers.study import Study


def as_json(one: Examined) -> dict[str, Any]:
    """A model's numbers as JSON takes them; what is not a number (NaN) is null.

    ``norms``, ``by_layer`` and ``cls_…`` go by layer, from before the first block where there is
    one more than blocks; ``probes`` are those after the last block, by kind of token;
    ``training`` has a record for each checkpoint that was looked at.
    """
    study, seen = one.study, one.study.attention
    found: dict[str, Any] = _numbers_only(
        {
            "flagged_layers": study.flagged,
            "norms": [
                {
                    "median": of.median,
                    "maximum": of.maximum,
                    "mad": of.mad,
                    "share_above_mad": of.share_above_mad,
                    "cutoff": of.cutoff,
                    "share_above_cutoff": of.share_above_cutoff,
                }
                for of in study.summaries
            ],
            "high_norm_share": float(study.outliers.mean()),
            "neighbour_cosine": float(study.cosine.mean()),
            "neighbour_cosine_and_norm": study.likeness,
            "cls_entropy": None if seen is None else seen.entropy.tolist(),
            "cls_maximum": None if seen is None else seen.maximum.tolist(),
            "probes": _probes(study),
            "by_layer": {
                "tokens": "all",
                "pixel_error": study.by_layer[:, 0].tolist(),
                "single_token_accuracy": study.by_layer[:, 1].tolist(),
                "position_accuracy": study.by_layer[:, 2].tolist(),
            },
            "corloc": study.located.biased.tolist(),
            "corloc_without_bias": study.located.plain.tolist(),
            "training": [_moment(moment) for moment in one.moments],
        }
    )
    return found


def _probes(study: Study) -> dict[str, Any]:
    return {
        kind: {
            "tokens": one.tokens,
            "position_accuracy": one.position.accuracy,
            "position_distance": one.position.distance,
            "pixel_error": one.pixels,
            "single_token_accuracy": one.label,
        }
        for kind, one in study.probes.items()
    }


def _moment(moment: Moment) -> dict[str, Any]:
    """The words of the rest of the file for what `Moment` has."""
    told = dataclasses.asdict(moment)
    for ours, theirs in (
        ("flagged", "flagged_layers"),
        ("likeness", "neighbour_cosine_and_norm"),
        ("entropy", "cls_entropy"),
        ("maximum", "cls_maximum"),
        ("pixels", "pixel_error"),
        ("label", "single_token_accuracy"),
    ):
        told[theirs] = told.pop(ours)
    return told


def _numbers_only(value: Any) -> Any:
    """The same with null for NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {key: _numbers_only(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_numbers_only(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

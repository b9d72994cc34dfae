"""A verdict and its pictures that were told as plain data, as what they were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from grader.pictures import Pictures
from grader.verdict import Verdict


def verdict_from(told: Mapping[str, Any]) -> Verdict:
    """The verdict whose ``dataclasses.asdict`` this is (also after a journey as JSON)."""
    verdict: Verdict = _rebuilt(Verdict, told)
    return verdict


def pictures_from(told: Mapping[str, Any]) -> Pictures:
    """The pictures whose ``dataclasses.asdict`` this is."""
    pictures: Pictures = _rebuilt(Pictures, told)
    return pictures


def _rebuilt(kind: Any, told: Any) -> Any:
    """``told`` as a value of the annotated type: dataclasses and tuples, nested as they are."""
    if get_origin(kind) in (Union, UnionType):
        if told is None:
            return None
        kind = next(one for one in get_args(kind) if one is not type(None))
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return kind(**{f.name: _rebuilt(hints[f.name], told[f.name]) for f in fields(kind)})
    if get_origin(kind) is tuple:
        inner, *others = get_args(kind)
        kinds = [inner] * len(told) if others in ([], [...]) else [inner, *others]
        return tuple(_rebuilt(one, value) for one, value in zip(kinds, told, strict=True))
    return told

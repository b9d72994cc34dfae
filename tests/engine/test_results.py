"""What comes back: types that messages do not know, forms, and the words about shapes."""

from __future__ import annotations

from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest
from flax.core import freeze

from grader import catalogue
from grader.engine import wire
from grader.engine.results import form_of
from grader.engine.words import axes_words, common_names
from tests.conftest import Grade, failed_checks

SOLUTION = catalogue.solution_path(38).read_text()
REGISTERS = catalogue.solution_path(47).read_text()
CALL = "    return model.apply(params, image)\n"
A = np.zeros(2)


def message(verdict: dict[str, Any], id: str) -> str:
    return " ".join(c["message"] for c in verdict["checks"] if c["id"] == id)


@pytest.mark.parametrize(
    "dtype",
    [
        ml_dtypes.bfloat16,
        ml_dtypes.float8_e4m3fn,
        ml_dtypes.int4,
        np.float16,
        np.float32,
        np.complex64,
        np.uint16,
        np.bool_,
    ],
)
def test_every_type_of_number_can_be_sent(dtype: Any) -> None:
    values = np.array([0, 1, 2]).astype(dtype)
    sent = wire.sendable(values)
    assert wire.pack({}, [sent])
    np.testing.assert_array_equal(sent.astype(np.complex128), values.astype(np.complex128))


@pytest.mark.parametrize(
    ("dtype", "says"),
    [
        ("bfloat16", "bfloat16"),
        ("float16", "float16"),
        ("float8_e4m3fn", "float8"),
        ("complex64", "complex64"),
        ("int32", "int32"),
        ("int4", "int4"),
    ],
)
def test_another_type_is_told_and_nothing_else_goes_wrong(
    dtype: str, says: str, grade_text: Grade
) -> None:
    source = SOLUTION.replace(CALL, CALL.rstrip() + f".astype('{dtype}')\n")
    verdict = grade_text(source, 38)
    assert failed_checks(verdict) == ["shape"]
    assert says in message(verdict, "shape")


def test_digits_that_are_cut_off_count_as_a_narrow_type(grade_text: Grade) -> None:
    source = SOLUTION.replace(
        CALL, "    return jax.lax.reduce_precision(" + CALL[11:-1] + ", 8, 7)\n"
    )
    verdict = grade_text(source, 38)
    assert "bfloat16" in message(verdict, "shape")
    whole = source.replace(", 8, 7)", ", 8, 23)")
    assert grade_text(whole, 38)["passed"]


class Pair(NamedTuple):
    one: Any
    other: Any


@pytest.mark.parametrize(
    ("result", "form"),
    [
        (A, "array"),
        (1.0, "array"),
        ((A, A), "(array, array)"),
        ([A, A], "(array, array)"),
        (Pair(A, A), "(array, array)"),
        ((A,), "(array,)"),
        ([(A, A)], "((array, array),)"),
        ({"b": A, "a": A}, "{'a': array, 'b': array}"),
        (freeze({"a": A}), "{'a': array}"),
    ],
)
def test_the_form_is_how_a_caller_takes_it_apart(result: Any, form: str) -> None:
    assert form_of(result) == form


@pytest.mark.parametrize(
    ("returned", "passes"),
    [
        ("[a, b]", True),
        ("{'logits': a, 'patch_tokens': b}", False),
        ("[(a, b)]", False),
    ],
)
def test_a_pair_unpacks(returned: str, passes: bool, grade_text: Grade) -> None:
    source = REGISTERS.replace(
        CALL, f"    a, b = model.apply(params, image)\n    return {returned}\n"
    )
    assert source != REGISTERS
    verdict = grade_text(source, 47, cases=3, shapes=2)
    assert failed_checks(verdict) == ([] if passes else ["shape"])
    if not passes:
        assert "(logits, patch_tokens)" in message(verdict, "shape")


def test_a_single_array_is_no_tuple(grade_text: Grade) -> None:
    verdict = grade_text(SOLUTION.replace(CALL, CALL.rstrip() + ",\n"), 38)
    assert "expected the result as array; got (array,)" in message(verdict, "shape")


def test_axes_are_named_by_what_holds_at_every_draw() -> None:
    drawn = [((1, 1), {"D": 1, "N": 1}), ((6, 5), {"D": 5, "N": 6})]
    assert common_names(drawn) == ["N", "D"]
    assert axes_words((1, 1), common_names(drawn)) == "(N, D) = (1, 1)"
    assert common_names([((4, 7), {"D": 4}), ((4, 7), {"D": 5})]) == ["", ""]


def test_a_shape_is_told_with_its_sizes(grade_text: Grade) -> None:
    verdict = grade_text(SOLUTION.replace(CALL, CALL.rstrip() + ".T\n"), 38)
    said = message(verdict, "shape")
    assert "tokens: expected shape (N, D) = " in said
    assert "got (D, N) = " in said
    assert "(for grid_h " in said


def test_an_exception_outside_of_the_function_is_told_with_its_beginning(grade_text: Grade) -> None:
    source = SOLUTION.replace(
        "def patch_embed_forward", "@functools.cache\ndef patch_embed_forward"
    )
    verdict = grade_text("import functools\n" + source.replace("from __future__", "#"), 38)
    assert "unhashable" in message(verdict, "runs")
    assert ": @functools.cache" in message(verdict, "runs")
    assert [d["pitfall"] for d in verdict["diagnoses"]] == ["array-as-key"]

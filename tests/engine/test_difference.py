"""Each kind of difference is recognised, and a difference of no kind is not given a name."""

from __future__ import annotations

import numpy as np
import pytest

from grader.engine.difference import kind_of_difference, softmax

E = np.random.default_rng(0).normal(size=(5, 7))
COLUMN, ROW = np.arange(1.0, 6.0)[:, None], np.arange(1.0, 8.0)[None]

KINDS = {
    "a factor": (E * 0.25, "the expected one times 0.25"),
    "an offset": (E + 3, "the expected one plus 3 everywhere"),
    "a bias": (E + ROW, "the expected one plus a number for each feature"),
    "a row's offset": (E - COLUMN, "the expected one plus a number for each row"),
    "a scale": (E * ROW, "the expected one times a number for each feature"),
    "a row's factor": (E * COLUMN, "the expected one times a number for each row"),
    "factor and bias": (
        0.5 * E + ROW,
        "the expected one times 0.5, plus a number for each feature",
    ),
    "softmax": (softmax(E, 1), "the expected one softmaxed along axis 1"),
    "softmax of columns": (softmax(E, 0), "the expected one softmaxed along axis 0"),
    "zero": (0 * E, "zero"),
    "nan": (np.where(E > 0, np.nan, E), "not finite: NaN"),
    "infinity": (np.where(E > 0, np.inf, E), "not finite: an infinity"),
    "transposed": (E.T, "transposed"),
    "raw reshape": (E.T.reshape(5, 7), "transposed, then reshaped"),
    "rows": (E[[2, 0, 1, 4, 3]], "permuted: it has the right rows in another order"),
    "features": (E[:, [1, 0, 3, 2, 6, 5, 4]], "permuted: it has the right features"),
    "rolled": (np.roll(E, 1, 0), "off by one: its rows are all one further down"),
    "reversed": (E[::-1], "reversed: its rows stand in the opposite order"),
    "shifted": (np.concatenate([E[:1] + 1, E[:-1]]), "off by one: each row is the one before it"),
    "shuffled": (E.ravel()[np.random.default_rng(1).permutation(35)].reshape(5, 7), "made of the"),
    "one row wrong": (np.concatenate([E[:4], E[4:] ** 2]), "right in rows 0 to 3, wrong in row 4"),
    "a row of zeros": (
        np.concatenate([0 * E[:1], E[1:]]),
        "zero in row 0; the other rows are right",
    ),
    "some rows scaled": (
        np.concatenate([E[:2], 3 * E[2:]]),
        "the expected one times 3 in rows 2 to 4; the other rows are right",
    ),
    "a row too few": (E[:-1], "the expected one with 1 row too few at the end"),
    "two rows too many": (np.concatenate([E[:2], E]), "the expected one with 2 rows too many at"),
    "a mean": (E.mean(0), "the mean of the expected one along axis 0"),
    "a sum": (E.sum(0), "the sum of the expected one along axis 0"),
    "a batch axis": (E[None], "right but for its shape (1, 5, 7)"),
    "a batch axis and a factor": (2 * E[None], "the expected one times 2"),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_of_difference_is_named(name: str) -> None:
    actual, words = KINDS[name]
    assert kind_of_difference(actual, E).startswith(words)


def test_a_missing_softmax_is_named() -> None:
    assert (
        kind_of_difference(E, softmax(E, 1)) == "the expected one before its softmax along axis 1"
    )


def test_what_has_no_kind_gets_no_name() -> None:
    other = np.random.default_rng(2).normal(size=(5, 7))
    assert kind_of_difference(other, E) == ""
    assert kind_of_difference(np.tanh(E), E) == ""
    assert kind_of_difference(other[:3, :2], E) == ""


def test_what_comes_of_many_things_gets_no_name() -> None:
    assert kind_of_difference(np.ones((5, 7)), E) == ""
    assert kind_of_difference(np.ones(5), softmax(E, 1)) == ""
    large = 1e4 * E  # whose softmax is zeros and ones
    assert kind_of_difference(softmax(large, 1), large) == ""

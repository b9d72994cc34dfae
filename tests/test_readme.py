"""The generated table in the README says what is there."""

from __future__ import annotations

from tests.readme import table_is_current


def test_the_table_of_problems_is_current() -> None:
    assert table_is_current(), "run: python -m tests.readme"

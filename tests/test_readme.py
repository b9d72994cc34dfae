"""The generated table in the README says what is there."""

from __future__ import annotations

from tests.readme import out_of_date


def test_the_table_of_problems_is_current() -> None:
    assert out_of_date() == [], "run: python -m tests.readme"

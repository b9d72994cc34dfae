"""How long a search goes on, by a clock that is set."""

from __future__ import annotations

from typing import Any

import pytest

from grader.engine import patience
from grader.engine.patience import LEAST_TRIED, Patience


class Tried:
    """Stands for what counts the mutants."""

    def __init__(self, tried: int) -> None:
        self.tried = tried


@pytest.mark.parametrize(
    ("tried", "seconds", "over"),
    [
        (LEAST_TRIED, 1.4, False),
        (LEAST_TRIED, 1.6, True),
        (LEAST_TRIED - 1, 1.6, False),
        (LEAST_TRIED - 1, 3.1, True),
    ],
)
def test_who_has_tried_little_may_go_on(
    tried: int, seconds: float, over: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock: Any = iter([100.0, 100.0 + seconds])
    monkeypatch.setattr(patience.time, "process_time", lambda: next(clock))
    counter: Any = Tried(tried)
    assert Patience(counter, 1.5).over() is over


def test_without_a_limit_it_is_never_over() -> None:
    counter: Any = Tried(10**6)
    assert not Patience(counter).over()

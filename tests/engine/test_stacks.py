"""Layers that a submission stacks in part, in two stacks or back to front are the reference's."""

from __future__ import annotations

import pytest

from grader.catalogue import ROOT
from tests.conftest import Grade

ANSWER = ROOT / "tests" / "answers" / "46_vit_cls" / "right" / "scan_all_but_the_last.py"
LOOP = """\
        if L > 1:
            x, _ = self.scan(L - 1, "body")(x, None)
        x, _ = Block(self.num_heads, self.d_ff, name="last")(x)
"""
ALL_BUT_THE_FIRST = """\
        x, _ = Block(self.num_heads, self.d_ff, name="first")(x)
        if L > 1:
            x, _ = self.scan(L - 1, "body")(x, None)
"""
HALVES = """\
        for n, name in ((L // 2, "lower"), (L - L // 2, "upper")):
            if n:
                x, _ = self.scan(n, name)(x, None)
"""
BACKWARDS = """\
        x, _ = self.scan(L, "body")(x, None)
"""
TWICE = """\
        stack = self.scan(L, "body")
        x, _ = stack(stack(x, None)[0], None)
"""


def with_loop(loop: str) -> str:
    text = ANSWER.read_text()
    assert text.count(LOOP) == 1
    return text.replace(LOOP, loop)


@pytest.mark.parametrize(
    "loop", [ALL_BUT_THE_FIRST, HALVES, BACKWARDS], ids=["first", "halves", "backwards"]
)
def test_stacks_are_found(loop: str, grade_text: Grade) -> None:
    text = with_loop(loop)
    if loop is BACKWARDS:
        text = text.replace("length=n", "length=n, reverse=True")
    verdict = grade_text(text, 46, explain=False, cases=12, shapes=4)
    assert verdict["passed"], verdict["checks"]


def test_a_stack_that_is_applied_twice_does_not_pass(grade_text: Grade) -> None:
    assert not grade_text(with_loop(TWICE), 46, explain=False, cases=12, shapes=4)["passed"]

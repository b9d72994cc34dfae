"""What ``watch`` and notebooks ask of the warm grader."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from grader.catalogue import ROOT
from grader.engine.warm_grader import CANCELLED, WarmGrader
from grader.study.retold import pictures_from, verdict_from
from tests.conftest import failed_checks
from tests.desk.test_watch import ENDLESS

ANSWERS = ROOT / "tests/answers/40_self_attention"


def test_a_grading_can_be_cancelled_and_the_next_one_goes_on(
    warm: WarmGrader, tmp_path: Path
) -> None:
    endless = tmp_path / "38_endless.py"
    endless.write_text(ENDLESS)
    right = ROOT / "solutions/38_patch_embed.py"
    warm.ask(endless, 38)
    time.sleep(0.5)
    started = time.monotonic()
    warm.cancel()
    warm.ask(right, 38)
    assert warm.receive() == CANCELLED
    assert warm.receive()["passed"]
    warm.cancel()  # nothing is at work: nothing happens
    assert warm.grade(right, 38)["passed"]
    assert time.monotonic() - started < 15


def test_fewer_cases_are_the_first_of_the_full_ones(warm: WarmGrader) -> None:
    told = warm.grade(ROOT / "solutions/38_patch_embed.py", 38, cases=12, shapes=4)
    assert told["passed"]
    assert (told["cases"], told["shapes"]) == (12, 4)


def test_a_verdict_is_the_same_after_its_journey(warm: WarmGrader) -> None:
    path = ROOT / "tests/answers/38_patch_embed/wrong/no_bias.py"
    told = warm.examine(path, 38)
    plain = warm.grade(path, 38)
    again = verdict_from(told["verdict"]).as_json()
    assert {**again, "seconds": 0} == {**plain, "seconds": 0}


@pytest.mark.parametrize(
    ("answer", "agree"),
    [
        ("right/head_loop.py", [True, True]),
        ("right/batched_3hd.py", [True, True]),
        ("wrong/scale_by_width.py", [False, False]),
        ("right/streaming_softmax.py", None),
    ],
)
def test_the_attention_of_an_answer_is_found(
    answer: str, agree: list[bool] | None, warm: WarmGrader
) -> None:
    told = warm.examine(ANSWERS / answer, 40, pictures=True)
    attention = pictures_from(told["pictures"]).attention
    assert attention is not None
    assert len(attention.maps) == 2
    for i, pair in enumerate(attention.maps):
        expected = np.array(pair.expected)
        assert expected.shape == (12, 12)
        assert np.allclose(expected.sum(axis=1), 1)
        if agree is None:
            assert pair.actual is None
        else:
            actual = np.array(pair.actual)
            assert np.allclose(actual.sum(axis=1), 1)
            assert np.allclose(actual, expected) is agree[i]
    assert bool(attention.message) is (agree is None)


def test_what_the_checks_say_comes_before_what_is_behind_it(warm: WarmGrader) -> None:
    path = ROOT / "tests/answers/38_patch_embed/wrong/no_bias.py"
    warm.ask(path, 38, full=True, interim=True)
    before = verdict_from(warm.receive()["interim"])
    after = verdict_from(warm.receive()["verdict"])
    assert not before.passed
    assert [check.status for check in before.checks] == [check.status for check in after.checks]
    assert before.diagnoses == () != after.diagnoses


def test_processes_that_waited_for_their_work_give_the_same_verdict(tmp_path: Path) -> None:
    answers = [
        ROOT / "solutions/38_patch_embed.py",
        ROOT / "tests/answers/38_patch_embed/wrong/no_bias.py",
    ]
    gone = tmp_path / "38_gone.py"
    gone.write_text("import os\nos._exit(3)\n")
    told = []
    with WarmGrader(prepare=True) as warm:
        for path in (*answers, gone):
            for pause in (0.0, 1.5):  # after a pause processes wait for the order
                time.sleep(pause)
                told.append({**warm.grade(path, 38), "seconds": 0})
    assert [verdict["passed"] for verdict in told] == [True, True, False, False, False, False]
    for at_once, waited in zip(told[::2], told[1::2], strict=True):
        assert at_once == waited


def test_whatever_a_file_is_it_gets_a_verdict(warm: WarmGrader, tmp_path: Path) -> None:
    kinds = ("itself", "nothing", "zeros", "folder", "pipe", "broken\udcffname")
    files = {kind: tmp_path / f"38_{kind}.py" for kind in kinds}
    files["itself"].symlink_to(files["itself"])
    files["nothing"].symlink_to(tmp_path / "gone.py")
    files["zeros"].symlink_to("/dev/zero")
    files["folder"].mkdir()
    os.mkfifo(files["pipe"])
    files["broken\udcffname"].write_text("")
    for kind, says in (
        ("itself", "it is a link"),
        ("nothing", "it is a link"),
        ("zeros", "it is a link"),
        ("folder", "cannot be read"),
        ("pipe", "no regular file"),
        ("broken\udcffname", "is empty"),
    ):
        verdict = warm.grade(files[kind], 38)
        assert failed_checks(verdict) == ["reads"]
        assert says in verdict["checks"][0]["message"], kind
    assert warm.grade(ROOT / "solutions/38_patch_embed.py", 38)["passed"]

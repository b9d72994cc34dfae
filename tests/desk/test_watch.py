"""``watch`` as a person meets it: a screen, a save, a key."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grader.catalogue import ROOT
from grader.study.changes import Changes
from tests.desk.conftest import Typed, plain, processes_in

RIGHT = (ROOT / "solutions/38_patch_embed.py").read_text()
DONE = "waiting for a save"
ENDLESS = RIGHT.replace("    model = ", "    while True:\n        pass\n    model = ")


def gone(folder: Path, seconds: float = 10) -> list[str]:
    """The processes of a working copy that are still there after a while."""
    end = time.monotonic() + seconds
    while (left := processes_in(folder)) and time.monotonic() < end:
        time.sleep(0.05)
    return left


def test_a_session_from_the_first_save_to_q(
    copy: Path, terminal: Callable[..., Any], typed: Typed
) -> None:
    answer = copy / "problems/38_patch_embed.py"
    screen = terminal("watch", "38", rows=24, columns=80)
    screen.expect("nothing yet")
    screen.expect(DONE)

    answer.write_text(RIGHT)
    screen.expect("Passed")
    screen.expect("30 cases")  # the quick verdict has fewer; the full one follows
    screen.expect(DONE)

    answer.write_text("def patch_embed_forward(:\n")
    screen.expect("SyntaxError")
    screen.expect(DONE)

    # Editors empty the file first, or put another in its place.
    answer.write_text("")
    time.sleep(0.05)
    answer.write_text(RIGHT)
    screen.expect("Passed")
    screen.expect(DONE)
    other = answer.with_name("38.tmp")
    other.write_text(RIGHT.replace("(self.patch_size, self.patch_size)", "(1, 1)"))
    other.replace(answer)
    screen.expect("Not passed")
    screen.expect(DONE)

    screen.send("h")
    screen.expect("Hint 1 of")
    screen.send("l")
    screen.expect("1 of 10 passed")
    screen.send("r")
    screen.expect("Not passed")
    screen.send("\x1b[A")  # an arrow key means nothing here
    screen.send("n")
    screen.expect("39")
    screen.expect("nothing yet")
    screen.send("q")
    screen.read()
    screen.close()
    assert screen.exitstatus == 0
    assert gone(copy) == []
    assert "1 of 10 passed" in typed().stdout


def test_ctrl_c_on_a_narrow_screen_leaves_nothing_behind(
    copy: Path, terminal: Callable[..., Any]
) -> None:
    answer = copy / "problems/38_patch_embed.py"
    answer.write_text(ENDLESS)
    screen = terminal("watch", "38", rows=16, columns=40, NO_COLOR="1", LANG="C")
    screen.expect("grading")
    end = time.monotonic() + 20
    while len(processes_in(copy)) < 4:  # watch, the warm grader, the judge, the submission
        assert time.monotonic() < end, processes_in(copy)
        time.sleep(0.05)
    screen.sendintr()
    text = screen.before + screen.after + screen.read()
    screen.close()
    assert screen.exitstatus == 0
    assert gone(copy) == []
    assert text.isascii()
    shown = plain(text.rsplit("\x1b[2J", 1)[-1])
    assert max(map(len, shown.splitlines())) <= 40
    assert "q quit" in shown


def test_nothing_is_said_of_the_mistake_before_it_was_looked_for(
    copy: Path, terminal: Callable[..., Any]
) -> None:
    wrong = ROOT / "tests/answers/38_patch_embed/wrong/columns_first.py"
    shutil.copy(wrong, copy / "problems/38_patch_embed.py")
    screen = terminal("watch", "38")
    screen.expect("looking for the mistake")
    before = screen.before
    screen.expect("What")
    assert "What" not in plain(before)
    assert "Not passed" in plain(before + screen.before)
    screen.expect(DONE)
    assert "none of the known" not in plain(screen.before)
    screen.close()


def test_a_save_ends_a_grading_that_is_out_of_date(
    copy: Path, terminal: Callable[..., Any]
) -> None:
    answer = copy / "problems/38_patch_embed.py"
    answer.write_text(ENDLESS)
    screen = terminal("watch", "38")
    screen.expect("grading")
    time.sleep(2)
    answer.write_text(RIGHT)
    started = time.monotonic()
    screen.expect("Passed")
    assert time.monotonic() - started < 15  # the endless one alone would take 20 s
    screen.close(force=True)  # as when its window is closed
    assert gone(copy, 15) == []


@pytest.mark.parametrize("events", [True, False])
def test_every_way_of_saving_is_noticed(events: bool, tmp_path: Path) -> None:
    path = tmp_path / "answer.py"
    path.write_text("one\n")
    other = tmp_path / "other.py"
    with contextlib.closing(Changes({1: path}, events=events)) as changes:
        time.sleep(0.2)

        def noticed(seconds: float = 3.0) -> bool:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                if changes.saved():
                    return True
                time.sleep(min(changes.patience(), 0.05))
            return False

        assert not noticed(0.3)
        path.write_text("two\n")
        assert noticed()
        other.write_text("three\n")
        other.replace(path)
        assert noticed()
        path.unlink()
        path.write_text("four\n")
        assert noticed()
        assert not noticed(0.3)


def test_events_come_sooner_than_looking(tmp_path: Path) -> None:
    import select

    path = tmp_path / "answer.py"
    path.write_text("one\n")
    with contextlib.closing(Changes({1: path})) as changes:
        time.sleep(0.3)
        path.write_text("two\n")
        assert select.select([changes], [], [], 5)[0]

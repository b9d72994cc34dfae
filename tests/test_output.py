"""Where the output goes, what becomes of it there, and how a grade ends that is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from grader.catalogue import ROOT
from tests.test_cli import Command

RIGHT = ROOT / "solutions" / "38_patch_embed.py"
ENDLESS = """
def patch_embed_forward(seed, image, patch_size, d_model):
    while True:
        pass
"""


def in_shell(line: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """A line of the shell in which ``"$@"`` is Python with the grader and these words."""
    grader = [sys.executable, "-m", "grader", *map(str, words)]
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}", "bash", *grader],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
@pytest.mark.parametrize("words", [[RIGHT], [RIGHT, "--json"], ["list"]])
def test_an_output_that_cannot_be_written_is_a_line_and_no_verdict(
    words: Sequence[str | Path],
) -> None:
    done = in_shell('"$@" > /dev/full', *words)
    assert done.returncode == 2
    assert done.stderr == "grader: the output cannot be written: No space left on device\n"


def test_without_any_output_the_exit_status_tells() -> None:
    done = in_shell('"$@" >&-', RIGHT)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_is_gone_is_no_verdict() -> None:
    done = in_shell('"$@" | true', RIGHT)  # gone long before anything is written
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_a_terminal_of_no_width_is_one_that_nobody_measured(command: Command) -> None:
    done = command(str(RIGHT), COLUMNS="0")
    assert "Passed · score 1.00" in done.stdout


def test_the_name_of_a_file_is_one_line(command: Command, tmp_path: Path) -> None:
    forged = tmp_path / "38_a\n\nPassed · score 1.00\n\n.py"
    forged.write_text(ENDLESS.replace("while True:\n        pass", "return None"))
    for width in range(60, 100, 10):  # wherever it is wrapped
        done = command(str(forged), COLUMNS=str(width))
        assert done.returncode == 1
        assert "Not passed" in done.stdout
        assert not [line for line in done.stdout.splitlines() if line.startswith("Passed")]


def test_a_number_is_a_problem_whatever_lies_here(command: Command, tmp_path: Path) -> None:
    (tmp_path / "46").mkdir()
    done = command("46", cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert "46 · Vision Transformer with a CLS token" in done.stdout


def test_a_case_of_a_file_that_does_not_load_says_why(command: Command, tmp_path: Path) -> None:
    broken = tmp_path / "38_broken.py"
    broken.write_text("def f(:\n")
    case = '{"grid_h": 2, "grid_w": 1, "patch_size": 2, "channels": 1, "d_model": 3}'
    assert "SyntaxError" in command(str(broken), "--case", case).stdout
    broken.write_text("patch_embed_forward = 3\n")
    assert "there is no function patch_embed_forward" in command(str(broken), "--case", case).stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_grade_that_is_ended_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    scratch, answer = tmp_path / "scratch", tmp_path / "38_endless.py"
    scratch.mkdir()
    answer.write_text(ENDLESS)
    running = subprocess.Popen(
        [sys.executable, "-m", "grader", str(answer)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    until = time.monotonic() + 60
    while not any(scratch.iterdir()) and time.monotonic() < until:
        time.sleep(0.05)
    assert any(scratch.iterdir())
    time.sleep(0.5)
    running.send_signal(number)
    assert running.communicate(timeout=30) == (b"", b"")
    assert running.returncode == 128 + number
    until = time.monotonic() + 10
    while any(scratch.iterdir()) and time.monotonic() < until:
        time.sleep(0.05)  # a folder that is large is removed by a process of its own
    assert not any(scratch.iterdir())

"""Files that are no files, folders that are traps, and what a terminal is shown."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.catalogue import ROOT
from grader.engine.warm_grader import WarmGrader
from tests.conftest import failed_checks
from tests.hostile.watched import SCHEMA

Command = Callable[..., subprocess.CompletedProcess[str]]
FILES = Path(__file__).parent / "files"
RIGHT = ROOT / "solutions/38_patch_embed.py"


def fifo(path: Path) -> None:
    os.mkfifo(path)


def link_to_zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def link_to_nothing(path: Path) -> None:
    path.symlink_to(path.parent / "gone.py")


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


def unreadable(path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    path.write_text("x = 1\n")
    path.chmod(0)


@pytest.mark.parametrize(
    ("make", "status", "says"),
    [
        (fifo, 1, "no regular file"),
        (link_to_zeros, 1, "it is a link"),
        (huge, 1, "bytes"),
        (unreadable, 1, "cannot be read"),
        (link_to_itself, 2, "there is no file"),
        (link_to_nothing, 2, "there is no file"),
        (Path.mkdir, 2, "is a folder"),
    ],
)
def test_what_is_no_file_is_told_in_one_line(
    make: Callable[[Path], None], status: int, says: str, command: Command, tmp_path: Path
) -> None:
    path = tmp_path / "38_answer.py"
    make(path)
    started = time.monotonic()
    done = command(str(path), "--json")
    assert time.monotonic() - started < 30
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    if status == 2:
        assert says in done.stderr
        return
    verdict = json.loads(done.stdout)
    SCHEMA.validate(verdict)
    assert failed_checks(verdict) == ["reads"]
    assert says in verdict["checks"][0]["message"]


def test_a_link_is_not_read(command: Command, tmp_path: Path) -> None:
    """It would be read with the rights of whoever grades: a solution, or a secret."""
    path, secret = tmp_path / "38_answer.py", tmp_path / "secret"
    secret.write_text("PASSWORD = hush-hush\n")
    for target in (RIGHT, secret):
        path.unlink(missing_ok=True)
        path.symlink_to(target)
        done = command(str(path), "--json")
        assert done.returncode == 1
        assert "it is a link; name the file itself" in done.stdout
        assert "hush" not in done.stdout + done.stderr
    with WarmGrader() as grader:
        assert not grader.grade(path, 38)["passed"]


@pytest.mark.parametrize(
    ("first_line", "says"),
    [
        ("# coding: undefined", "its encoding is undefined, and it is not"),
        ("# coding: punycode", "line 2 is not punycode text"),
        ("# coding: klingon", "its encoding is klingon, which Python does not know"),
        ("# coding: raw_unicode_escape \\ud800", "characters that UTF-8 cannot write"),
    ],
)
def test_an_odd_encoding_is_a_verdict(
    first_line: str, says: str, command: Command, tmp_path: Path
) -> None:
    path = tmp_path / "38_answer.py"
    path.write_bytes(first_line.encode() + b"\nx = 1 # \xe4\n")
    done = command(str(path), "--json")
    assert (done.returncode, done.stderr) == (1, "")
    assert says in json.loads(done.stdout)["checks"][0]["message"]


def test_a_name_that_utf8_cannot_write_is_no_reason_to_fail(
    command: Command, tmp_path: Path
) -> None:
    answer = ROOT / "tests/answers/38_patch_embed/right/lax_map_slices.py"
    path = os.fsencode(tmp_path) + b"/z\xff.py"
    with open(path, "wb") as file:
        file.write(answer.read_bytes())
    done = command(os.fsdecode(path), "--problem", "38", "--json")
    assert done.returncode == 0, done.stdout + done.stderr


def test_lines_are_counted_as_python_does(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "38_answer.py"
    path.write_bytes('# a\n\f\nx = "\u2028\x1c"\r\n\ny = 1 / 0\n'.encode())
    message = json.loads(command(str(path), "--json").stdout)["checks"][0]["message"]
    assert message.endswith("line 5: y = 1 / 0")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["1" * 5000], "there is no problem 111111111…"),
        (["a" * 300 + ".py", "--problem", "38"], "there is no file aaa"),
        (["38", "--case", "[" * 100_000], "--case is a JSON object"),
        (["38", "--case", "1" * 5000], "--case is a JSON object"),
        (["38", "--seed", "4294967296"], "--seed"),
        (["\x1b[31m.py"], r"\x1b[31m.py"),
    ],
)
def test_odd_words_are_one_line(words: list[str], says: str, command: Command) -> None:
    done = command(*words)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "\x1b" not in done.stderr


def test_ctrl_c_is_told(tmp_path: Path) -> None:
    path = tmp_path / "38_answer.py"
    path.write_text("while True: pass\n")
    grading = subprocess.Popen(
        [sys.executable, "-m", "grader", str(path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(3)
    grading.send_signal(signal.SIGINT)
    _, errors = grading.communicate(timeout=20)
    assert (grading.returncode, errors) == (130, "grader: stopped\n")


PEEKS = """
from grader.catalogue import ROOT

read = []
for folder in ("handed_in", ".git", "problems"):
    try:
        read.append((ROOT / folder / "answer.py").read_text())
    except PermissionError:
        pass
raise RuntimeError(f"it read {read} of these, and {len((ROOT / 'grader/cli.py').read_text())}")
"""


def test_a_working_copy_among_readable_files_is_closed(tmp_path: Path) -> None:
    """In ``src`` of an environment, say: answers and the history lie beside the grader."""
    copy = tmp_path / "on the path" / "src"
    for name in ("grader", "solutions"):
        shutil.copytree(ROOT / name, copy / name)
    shutil.copy(ROOT / "pyproject.toml", copy)
    for folder in ("handed_in", ".git", "problems"):
        (copy / folder).mkdir()
        (copy / folder / "answer.py").write_text("secret = 1")
    answer = tmp_path / "38_answer.py"
    answer.write_text(PEEKS)
    done = subprocess.run(
        [sys.executable, "-m", "grader", str(answer), "--json"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": f"{copy}{os.pathsep}{copy.parent}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.search(r"it read \[\] of these, and \d{4}", done.stdout), done.stdout + done.stderr


@pytest.mark.parametrize("name", ["terminal_escapes", "claims_an_odd_error"])
def test_a_terminal_sees_no_control_characters(name: str, command: Command) -> None:
    done = command(str(FILES / f"{name}.py"), "--problem", "38")
    assert done.returncode == 1
    assert done.stderr == ""
    shown = done.stdout.replace("\n", "")
    assert shown.isprintable(), [c for c in shown if not c.isprintable()]


def test_modules_beside_an_answer_are_not_imported(command: Command, tmp_path: Path) -> None:
    """Somebody who grades in the folder of the answers imports nothing of theirs."""
    for name in ("jax", "numpy", "json", "typer", "flax", "sitecustomize", "usercustomize"):
        (tmp_path / f"{name}.py").write_text("import os\nos._exit(0)\n")
    shutil.copy(FILES / "forged_json_on_stdout.py", tmp_path / "38_answer.py")
    done = command("38_answer.py", cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert done.returncode == 1
    assert "Not passed" in done.stdout


@pytest.mark.parametrize("name", ["searches_its_memory", "walks_the_stack"])
def test_a_cold_grader_leaves_nothing_to_find_either(name: str, command: Command) -> None:
    done = command(str(FILES / f"{name}.py"), "--problem", "38", "--json")
    assert done.returncode == 1
    assert "nothing found" in json.loads(done.stdout)["checks"][0]["message"]


WITHOUT = """
import sys
from grader.engine import sandbox_calls, sandbox_files
sandbox_files._CREATE = 100_000
sandbox_calls.platform.machine = lambda: "riscv64"
from grader.cli import main
main(sys.argv[1:])
"""


def test_what_is_not_isolated_is_said() -> None:
    """On a kernel without Landlock and a machine whose system calls nobody listed."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(RIGHT), "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    verdict = json.loads(done.stdout)
    assert verdict["passed"]
    partly = [note for note in verdict["notes"] if note.startswith("isolated only in part")]
    assert len(partly) == 2
    assert "Landlock" in partly[0]
    assert "riscv64" in partly[1]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_children_end_with_a_judge_that_is_killed(tmp_path: Path) -> None:
    judge = subprocess.Popen(
        [sys.executable, "-m", "grader", str(FILES / "loop_at_import.py"), "--problem", "38"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},  # nobody is left to remove its folders
        stdout=subprocess.DEVNULL,
    )
    tasks = Path(f"/proc/{judge.pid}/task/{judge.pid}/children")
    until = time.monotonic() + 30
    while len(tasks.read_text().split()) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.3)
    children = tasks.read_text().split()
    assert len(children) == 2
    judge.send_signal(signal.SIGKILL)
    judge.wait()
    until = time.monotonic() + 5
    while any(_alive(child) for child in children) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(_alive(child) for child in children)


def _alive(pid: str) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"

"""The command line as a user meets it: real processes, exit codes, one clear line for bad usage."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from grader.catalogue import ROOT
from tests.conftest import run_command

Command = Callable[..., subprocess.CompletedProcess[str]]
DEMO = "tests/answers/demo/46_last_row.py"
CASE = {
    "grid_h": 2,
    "grid_w": 3,
    "patch_size": 2,
    "channels": 3,
    "num_heads": 2,
    "head_dim": 4,
    "d_ff": 11,
    "num_layers": 1,
    "num_classes": 5,
    "seed": 0,
    "style": "ordinary",
}


def test_a_right_answer_exits_with_0(command: Command) -> None:
    done = command("solutions/40_self_attention.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Passed" in done.stdout
    assert "30 cases over 10 shapes" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_wrong_answer_exits_with_1_and_is_told_what_and_where(command: Command) -> None:
    done = command(DEMO)
    assert done.returncode == 1
    assert "the last row is read instead of row 0" in done.stdout
    assert "row 0 ✗" in done.stdout
    assert f"python -m grader {DEMO} --case" in done.stdout


@pytest.fixture
def another_b1(tmp_path: Path) -> Path:
    text = (ROOT / "solutions/50_train_step.py").read_text()
    assert text.count("mask=weight_decay_mask)") == 1
    answer = tmp_path / "50_other_b1.py"
    answer.write_text(text.replace("mask=weight_decay_mask)", "mask=weight_decay_mask, b1=0.8)"))
    return answer


WRONG_UPDATES = "block/bias after each update: it is right in update 0, wrong in updates 1 to 4"


def test_how_results_differ_is_told_without_stages_too(command: Command, another_b1: Path) -> None:
    assert f"Where\n  {WRONG_UPDATES}\n" in command(str(another_b1)).stdout


@pytest.mark.slow
def test_how_results_differ_is_on_the_page_too(
    command: Command, another_b1: Path, tmp_path: Path
) -> None:
    answer, page, told = another_b1, tmp_path / "50.html", WRONG_UPDATES
    assert command("report", str(answer), "--html", str(page)).returncode == 0
    assert f"<p>{told}</p>" in page.read_text()
    assert "every stage" not in page.read_text()


def test_where_two_functions_part_it_is_told_of_each(command: Command, tmp_path: Path) -> None:
    text = (ROOT / "solutions/48_extra_head_pool.py").read_text()
    assert text.count("jax.nn.softmax(votes / temperature)") == 1
    answer = tmp_path / "48_sigmoid.py"
    answer.write_text(text.replace("jax.nn.softmax(votes /", "jax.nn.sigmoid(votes /"))
    told = command(str(answer)).stdout
    assert "\nWhere, in extra_head_pool\n" in told
    assert "\nWhere, in vit_extra_head_forward\n" in told


@pytest.fixture(scope="module")
def demo_as_json() -> subprocess.CompletedProcess[str]:
    return run_command(DEMO, "--json")


@pytest.mark.xdist_group("demo as JSON")
def test_the_line_that_a_report_prints_shows_the_case(
    command: Command, demo_as_json: subprocess.CompletedProcess[str]
) -> None:
    case = json.dumps(json.loads(demo_as_json.stdout)["counterexample"]["case"])
    done = command(DEMO, "--case", case)
    assert done.returncode == 0, done.stderr
    assert "✓ final LayerNorm" in done.stdout
    assert "✗ row 0" in done.stdout
    assert "expected" in done.stdout
    assert "actual" in done.stdout


@pytest.mark.xdist_group("demo as JSON")
def test_the_json_form_follows_its_schema(
    command: Command, demo_as_json: subprocess.CompletedProcess[str]
) -> None:
    schema = json.loads((ROOT / "grader/report/verdict.schema.json").read_text())
    for done, passed in (
        (command("solutions/38_patch_embed.py", "--json"), True),
        (demo_as_json, False),
        (command("46", "--json"), False),
    ):
        verdict = json.loads(done.stdout)
        jsonschema.validate(verdict, schema)
        assert verdict["passed"] is passed
        assert done.returncode == (0 if passed else 1)


def test_a_number_a_path_and_a_path_elsewhere_mean_the_same(
    command: Command, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "46_vit_cls.py"
    shutil.copy(ROOT / "problems/46_vit_cls.py", elsewhere)
    for target in ("46", "problems/46_vit_cls.py", str(elsewhere)):
        done = command(target, "--json")
        assert done.returncode == 1
        assert json.loads(done.stdout)["problem"] == "46_vit_cls"


def test_a_file_with_another_name_needs_the_problem(command: Command, tmp_path: Path) -> None:
    answer = tmp_path / "mine.py"
    shutil.copy(ROOT / "solutions/38_patch_embed.py", answer)
    assert command(str(answer), "--problem", "38").returncode == 0
    done = command(str(answer))
    assert done.returncode == 2
    assert "--problem" in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("99",), "there is no problem 99"),
        (("problems",), "is a folder"),
        (("46_missing.py",), "there is no file 46_missing.py"),
        (("solutions/46_vit_cls.py", "--problem", "12"), "there is no problem 12"),
        (("46", "--case", "{"), "--case"),
        (("46", "--case", '{"grid_h": 1}'), "--case"),
        (("46", "--seed", "-1"), "--seed"),
        (("46", "--bogus"), "--bogus"),
    ],
)
def test_bad_usage_is_one_clear_line(words: tuple[str, ...], says: str, command: Command) -> None:
    done = command(*words)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert done.stdout == ""


def test_another_python_is_told_what_it_lacks() -> None:
    old = "import sys; sys.version_info = (3, 10, 13); sys.version = '3.10.13'; import grader"
    for words, says in (
        (["-c", old], "Python 3.11 or newer is needed"),
        (["-S", "-m", "grader", "list"], "has no typer; use the Python that it was installed into"),
    ):
        done = subprocess.run(
            [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert says in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_other_seeds_and_more_cases_are_honoured(command: Command) -> None:
    done = command("solutions/38_patch_embed.py", "--seed", "7", "--cases", "60", "--json")
    verdict = json.loads(done.stdout)
    assert verdict["passed"]
    assert verdict["cases"] >= 60
    assert verdict["seed"] == 7


def test_a_narrow_terminal_without_unicode_will_do(command: Command) -> None:
    done = command(DEMO, COLUMNS="60", PYTHONIOENCODING="ascii", LANG="C")
    assert done.returncode == 1
    assert done.stdout.isascii()
    body = [line for line in done.stdout.splitlines() if "--case" not in line]
    assert max(map(len, body)) <= 60
    assert "X row 0" in done.stdout or "row 0 X" in done.stdout


def test_colours_only_on_a_terminal(command: Command) -> None:
    pexpect = pytest.importorskip("pexpect")
    words = ["-m", "grader", "solutions/38_patch_embed.py"]
    shown = pexpect.run(f"{sys.executable} {' '.join(words)}", cwd=str(ROOT), env=None, timeout=60)
    assert b"\x1b[" in shown
    assert "\x1b[" not in command("solutions/38_patch_embed.py").stdout


def test_list_names_every_problem(command: Command) -> None:
    done = command("list")
    assert done.returncode == 0
    for number in (38, 39, 40, 41, 45, 46, 47, 48, 49, 50):
        assert str(number) in done.stdout


def test_a_case_can_be_looked_at_for_a_right_answer(command: Command) -> None:
    done = command("solutions/46_vit_cls.py", "--case", json.dumps(CASE))
    assert done.returncode == 0, done.stderr
    assert "✗" not in done.stdout

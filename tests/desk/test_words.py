"""``hint``, ``show``, ``solution``, ``open``, ``reset``, ``completion``: what each one says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from grader import catalogue
from grader.catalogue import ROOT
from grader.study.stubs import stub_for
from tests.desk.conftest import Typed, environment


def has_reached(copy: Path, number: int, **entry: object) -> None:
    known = {"score": 0.0, "passed_text": None, **entry}
    (copy / ".progress.json").write_text(json.dumps({"problems": {str(number): known}}))


# --- hints ---------------------------------------------------------------------------------


def test_hints_begin_with_the_mistake_that_was_found(copy: Path, typed: Typed) -> None:
    wrong = ROOT / "tests/answers/38_patch_embed/wrong/columns_first.py"
    shutil.copy(wrong, copy / "problems/38_patch_embed.py")
    diagnoses = json.loads(typed("38", "--json").stdout)["diagnoses"]
    assert len(diagnoses) == 1
    problem = catalogue.problem(38)
    pitfall = next(p for p in problem.pitfalls if p.id == diagnoses[0]["pitfall"])
    expected = [*pitfall.hints, *problem.hints]
    assert len(expected) > len(problem.hints)
    for place, text in enumerate(expected):
        said = " ".join(typed("hint", "38").stdout.split())
        assert " ".join(text.split()) in said
        assert ("one more" in said) is (place < len(expected) - 1)
        assert (pitfall.title in said) is (place < len(pitfall.hints))
    after = " ".join(typed("hint", "38").stdout.split())
    assert "no further hint" in after
    assert not any(" ".join(text.split()) in after for text in expected)
    again = " ".join(typed("hint", "38", "--again").stdout.split())
    assert all(" ".join(text.split()) in again for text in expected)


def test_no_hint_shows_the_solution() -> None:
    for number in catalogue.names():
        problem = catalogue.problem(number)
        code = [
            line.strip()
            for line in catalogue.solution_path(number).read_text().splitlines()
            if line.strip() not in stub_for(number) and len(line.strip()) > 25
        ]
        texts = [*problem.hints, *(hint for p in problem.pitfalls for hint in p.hints)]
        assert not [line for line in code for text in texts if line in text]


# --- pages and solutions -------------------------------------------------------------------


@pytest.mark.parametrize("columns", ["40", "100"])
def test_the_page_is_readable(columns: str, typed: Typed) -> None:
    done = typed("show", "46", COLUMNS=columns)
    assert done.returncode == 0
    assert "Why this matters" in done.stdout
    assert "##" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= int(columns)
    assert "LayerNorm over the features" in done.stdout
    assert "model.init" not in done.stdout


def test_the_page_without_unicode(typed: Typed) -> None:
    done = typed("show", "46", LANG="C")
    assert done.stdout.isascii()
    assert "N = (H / P) - (W / P)" in " ".join(done.stdout.split())


def test_the_solution_is_shown_when_it_passed_or_was_given_up(copy: Path, typed: Typed) -> None:
    refused = typed("solution", "38")
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert "python -m grader solution 38 --give-up" in refused.stderr
    given_up = typed("solution", "38", "--give-up")
    assert given_up.returncode == 0
    assert "model.apply(params, image)" in given_up.stdout
    assert typed("solution", "38").returncode == 0
    shutil.copy(ROOT / "solutions/38_patch_embed.py", copy / "problems/38_patch_embed.py")
    assert typed("38").returncode == 0
    assert "passed with help" in typed().stdout


def test_a_solution_looked_at_after_passing_is_no_help(copy: Path, typed: Typed) -> None:
    has_reached(copy, 38, score=1.0, passed_text="a" * 64)
    assert typed("solution", "38").returncode == 0
    assert "with help" not in typed().stdout


def test_side_by_side_where_there_is_room(copy: Path, typed: Typed) -> None:
    has_reached(copy, 38, score=1.0, passed_text="a" * 64)
    wide = typed("solution", "38", COLUMNS="130").stdout.splitlines()
    assert any("Yours" in line and "The reference" in line for line in wide)
    narrow = typed("solution", "38", COLUMNS="60").stdout.splitlines()
    assert narrow.index("Yours") < narrow.index("The reference")
    assert max(map(len, narrow)) <= 60


# --- begin anew ----------------------------------------------------------------------------


def test_reset_keeps_every_old_file(copy: Path, typed: Typed) -> None:
    answer = copy / "problems/46_vit_cls.py"
    texts = ["# first\n", "# second\n", "# third\n"]
    for text in texts:  # within a second or so
        answer.write_text(text)
        assert typed("reset", "46").returncode == 0
        assert answer.read_text() == stub_for(46)
    kept = [answer.with_name(f"46_vit_cls.old-{i}.py").read_text() for i in (1, 2, 3)]
    assert kept == texts
    assert "the stub already" in typed("reset", "46").stdout
    answer.unlink()
    assert "is there again" in typed("reset", "46").stdout
    assert len(list(answer.parent.glob("46*"))) == 4


def test_resets_at_the_same_time_lose_nothing(copy: Path) -> None:
    answer = copy / "problems/46_vit_cls.py"
    answer.write_text("# mine\n")
    command = [sys.executable, "-m", "grader", "reset", "46"]
    both = [
        subprocess.Popen(
            command, cwd=copy, env=environment(copy), stdout=-3, stderr=subprocess.DEVNULL
        )
        for _ in range(2)
    ]
    for process in both:
        process.wait(30)
    assert "# mine\n" in [p.read_text() for p in answer.parent.glob("46_vit_cls.old-*.py")]
    assert answer.read_text() == stub_for(46)


def test_where_a_stub_cannot_be_written_all_stays_as_it_was(copy: Path) -> None:
    answer = copy / "problems/46_vit_cls.py"
    answer.write_text("# mine\n")
    before = sorted(path.name for path in answer.parent.iterdir())
    done = subprocess.run(  # no file may have a byte, as on a full disk
        ["bash", "-c", 'ulimit -f 0; "$@"', "bash", sys.executable, "-m", "grader", "reset", "46"],
        cwd=copy,
        env=environment(copy, PYTHONDONTWRITEBYTECODE="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "nothing was reset: " in done.stderr
    assert answer.read_text() == "# mine\n"
    assert sorted(path.name for path in answer.parent.iterdir()) == before


def test_a_read_only_copy_is_told_and_left_alone(copy: Path) -> None:
    answer = copy / "problems/46_vit_cls.py"
    answer.write_text("# mine\n")
    command = [sys.executable, "-m", "grader"]
    if os.geteuid() == 0:  # root writes where it may not: make the folder a read-only mount
        script = f'mount --bind "{copy}" "{copy}" && mount -o remount,ro,bind "{copy}" && exec "$@"'
        command = ["unshare", "-m", "sh", "-c", script, "sh", *command]
        trial = subprocess.run([*command[:5], "sh", "true"], capture_output=True, check=False)
        if trial.returncode:
            pytest.skip("root may not mount here")
    else:
        for path in [copy, *copy.rglob("*")]:
            path.chmod(path.stat().st_mode & ~0o222)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *words],
            cwd="/",
            env=environment(copy, PYTHONDONTWRITEBYTECODE="1"),
            capture_output=True,
            text=True,
            check=False,
        )

    refused = run("reset", "46")
    assert refused.returncode == 2
    assert "nothing was reset" in refused.stderr
    assert answer.read_text() == "# mine\n"
    hint = run("hint", "46")
    assert hint.returncode == 0
    assert "Hint 1" in hint.stdout
    assert "cannot be written" in hint.stderr
    assert "shows one more" not in hint.stdout
    assert run().returncode == 0
    graded = run("46")
    assert graded.returncode == 1
    assert "progress is not remembered" in graded.stderr
    assert "Traceback" not in refused.stderr + hint.stderr + graded.stderr
    if os.geteuid() != 0:
        for path in [copy, *copy.rglob("*")]:
            path.chmod(path.stat().st_mode | 0o200)


# --- editor, shell, mistyped words -----------------------------------------------------------


def test_open_takes_the_editor_with_its_arguments(copy: Path, typed: Typed) -> None:
    editor = copy / "my editor"
    editor.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{copy}/opened"\nexit 3\n')
    editor.chmod(0o755)
    done = typed("open", "46", EDITOR=f"'{editor}' --wait -n", VISUAL="")
    assert done.returncode == 3
    assert (copy / "opened").read_text() == "--wait\n-n\nproblems/46_vit_cls.py\n"


@pytest.mark.parametrize(
    ("editor", "says"),
    [("", "export EDITOR"), ("no-such-editor -w", "no command no-such-editor"), ("'", "EDITOR is")],
)
def test_an_editor_that_is_not_there_is_one_clear_line(
    editor: str, says: str, typed: Typed
) -> None:
    done = typed("open", "46", EDITOR=editor, VISUAL="")
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("hnt", "46"), "python -m grader hint 46"),
        (("solutoin", "46", "--give-up"), "python -m grader solution 46 --give-up"),
        (("vit",), "no command and no file 'vit'"),
        (("hint",), "Missing argument"),
        (("hint", "12"), "there is no problem 12"),
        (("show", "47x"), "there is no problem '47x'"),
        (("46", "--sed", "3"), "--seed"),
        (("completion", "tcsh"), "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
        (("watch", "46"), "watch needs a terminal"),
        (("report", "46"), "--html"),
        (("report", "46", "--html", "no/such/page.html"), "there is no folder no/such"),
        (("report", "46", "--html", "problems/46_vit_cls.py"), "no page of the grader"),
    ],
)
def test_a_mistake_says_what_to_type(words: tuple[str, ...], says: str, typed: Typed) -> None:
    done = typed(*words)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_problem_has_many_names(typed: Typed) -> None:
    pages = {
        typed("show", name).stdout
        for name in ("38", "patch_embed", "38_patch_embed", "problems/38_patch_embed.py")
    }
    assert len(pages) == 1


def test_the_version(typed: Typed) -> None:
    from grader import __version__

    assert typed("--version").stdout == f"vit-problems {__version__}\n"


def test_help_shows_every_command_with_examples(typed: Typed) -> None:
    text = typed("--help").stdout
    for command in ("watch", "hint", "show", "solution", "reset", "open", "report", "completion"):
        assert f"  {command} " in text
    assert "Examples:" in text


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_the_shell(shell: str, typed: Typed) -> None:
    done = typed("completion", shell)
    assert done.returncode == 0
    assert f"_GRADER_COMPLETE=complete_{shell}" in done.stdout
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=done.stdout, text=True, check=True)


def test_the_shell_completes_commands_and_problems(typed: Typed) -> None:
    asked = {"_GRADER_COMPLETE": "complete_bash"}
    numbers = typed(COMP_WORDS="grader hint 4", COMP_CWORD="2", **asked).stdout.split()
    assert numbers == ["40", "41", "45", "46", "47", "48", "49"]
    commands = typed(COMP_WORDS="grader s", COMP_CWORD="1", **asked).stdout.split()
    assert commands == ["show", "solution"]
    alone = typed(COMP_WORDS="grader 4", COMP_CWORD="1", **asked).stdout.split()
    assert alone == numbers

"""``train``, ``eval`` and ``predict`` as a student types them."""

from __future__ import annotations

import io
import json
import random
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import pexpect
import pytest
from PIL import Image

from grader.catalogue import ROOT
from tests.training.conftest import (
    TINY_WORDS,
    environment,
    equal,
    lines_of,
    parameters,
    said,
    started,
    wait_for_epochs,
)

TRAIN = ["-m", "grader", "train"]
EPOCHS = 100
STEPS = 6 * EPOCHS
LONG = [
    *("--set", f"epochs={EPOCHS}", "--set", "ema=0.9", "--set", "shift=1", "--seed", "5"),
    *("--set", "checkpoint_every=3"),
]
"""Long enough to be interrupted."""

pytestmark = pytest.mark.xdist_group("train command")  # they share a run


def words_for(image_folder: Path, run: Path) -> list[str]:
    return [*TRAIN, "--data", str(image_folder), "--out", str(run), *TINY_WORDS, *LONG]


def _told_by_linux(pid: int, what: str) -> list[str]:
    file = Path(f"/proc/{pid}/{what}")
    return file.read_text().rstrip("\0").split("\0") if file.exists() else []


def in_terminal(columns: int, *words: str, **more: str) -> pexpect.spawn:
    """Python as a process of its own, in a terminal whose width nothing else tells."""
    here = environment(**more)
    return pexpect.spawn(
        sys.executable,
        list(words),
        cwd=str(ROOT),
        env={name: value for name, value in here.items() if name != "COLUMNS"},
        encoding="utf-8",
        codec_errors="replace",  # Ctrl-C throws away what the terminal has not shown yet
        timeout=200,
        dimensions=(24, columns),
    )


SOME = r"[^\r]*"
BARS = {
    140: rf"epoch \d+ {SOME}━{SOME} step \d+/{STEPS}  loss \d\.\d{{3}}  accuracy {SOME}%  "
    rf"\d+ images/s  lr \d{SOME}  test {SOME}%",
    80: rf"epoch \d+ {SOME}━{SOME} \d+/{STEPS} loss \d\.\d{{3}} acc {SOME}% "
    rf"\d+k?/s lr \d{SOME} test {SOME}%",
    50: rf"epoch \d+ {SOME}━{SOME} \d+/{STEPS} loss \d\.\d{{3}} test {SOME}%",
}
"""What stands before the time left in a terminal of so many columns."""


def _plain(shown: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", shown)


class Story:
    """A run in a terminal, stopped by Ctrl-C there, then resumed to its end in one of old."""

    def __init__(self, images: Path, folder: Path) -> None:
        self.images, self.run = images, folder / "run"
        self.screen = io.StringIO()
        terminal = in_terminal(140, *words_for(images, self.run))
        terminal.logfile_read = self.screen
        self.bars = {}
        for columns, bar in BARS.items():
            terminal.setwinsize(24, columns)
            terminal.expect(rf"{bar}{SOME}[\d-]{{2}}:[\d-]{{2}}")
            self.bars[columns] = _plain(terminal.after)
        self.environment = _told_by_linux(terminal.pid, "environ")
        self.typed = _told_by_linux(terminal.pid, "cmdline")[1:]
        terminal.sendintr()
        terminal.expect(pexpect.EOF)
        terminal.close()
        self.code = terminal.exitstatus
        self.stopped = parameters(self.run)
        terminal = in_terminal(80, *TRAIN, "--resume", str(self.run), TERM="dumb")
        terminal.expect(pexpect.EOF)
        terminal.close()
        self.resumed, self.told_by_resumed = terminal.exitstatus, terminal.before


@pytest.fixture(scope="session")
def story(shades_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(shades_folder, tmp_path_factory.mktemp("story"))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is left as it is")
def test_a_run_asks_for_large_pages_and_stays_the_command_that_was_typed(story: Story) -> None:
    assert "GLIBC_TUNABLES=glibc.malloc.hugetlb=1" in story.environment
    assert story.typed == words_for(story.images, story.run)


def test_a_terminal_shows_a_bar_that_fits_and_the_time_left(story: Story) -> None:
    """Where there is little room, in fewer words; see `BARS`."""
    assert {columns: len(bar) for columns, bar in story.bars.items()} == {n: n for n in BARS}
    assert all(bar.count("━") >= 4 for bar in story.bars.values())


def test_a_terminal_that_draws_no_bar_gets_lines(story: Story) -> None:
    assert re.search(
        rf"epoch {EPOCHS - 1}  train_accuracy .*  images_per_second .* s\r\n", story.told_by_resumed
    )
    assert "━" not in story.told_by_resumed


def test_ctrl_c_saves_and_says_how_to_resume(story: Story) -> None:
    shown = _plain(story.screen.getvalue())
    assert story.code == 130, shown
    assert "stopping and saving" in shown
    step = re.search(r"saved at step (\d+)\. Go on with: python -m grader train --resume", shown)
    assert step is not None
    assert story.stopped["step"] == int(step[1]) > 0


def test_ctrl_c_twice_does_not_wait_for_what_is_being_compiled(
    image_folder: Path, tmp_path: Path
) -> None:
    words = [*TRAIN, "--data", str(image_folder), "--out", str(tmp_path / "run"), *TINY_WORDS]
    deep = ["--set", "depth=16"]
    process = started(*words, *deep, JAX_LOG_COMPILES="1", XDG_CACHE_HOME=str(tmp_path))
    assert process.stderr is not None
    for line in process.stderr:
        if "Compiling jit(_all_numbers)" in line:  # the last of a run's programs
            break
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)  # two at one time may be heard as one
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=100)
    assert process.returncode == 130
    assert told.endswith("grader: stopped; what was saved before is still there\n")
    assert "Finished XLA compilation of jit(_steps)" not in told


@pytest.mark.parametrize("imported", ["typer", "jaxlib", "jax._src.core", "flax.core"])
def test_ctrl_c_at_the_start_ends_it_at_once(
    imported: str, image_folder: Path, tmp_path: Path
) -> None:
    """While JAX is imported, too, which swallowed it now and then."""
    run = tmp_path / "run"
    words = [*TRAIN, "--data", str(image_folder), "--out", str(run), *TINY_WORDS, *LONG]
    as_it_is = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}  # not started anew
    process = started("-X", "importtime", *words, **as_it_is)
    assert process.stderr is not None
    for line in process.stderr:
        if line.rpartition("|")[2].strip() == imported:
            break
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=100)
    assert process.returncode == 130
    assert "grader: stopped" in told
    assert "Traceback" not in told
    assert not run.exists()


def test_a_resumed_run_ends_with_a_line_an_epoch_and_a_report(story: Story) -> None:
    assert story.resumed == 0, story.told_by_resumed
    assert f"resuming at step {story.stopped['step']} of {STEPS}" in story.told_by_resumed
    assert "test accuracy" in story.told_by_resumed
    assert [line["epoch"] for line in lines_of(story.run)] == list(range(1, EPOCHS + 1))
    page = (story.run / "report.html").read_text()
    assert page.count("data:image/png;base64,") >= 4
    assert not re.findall(r"(?:src|href)=['\"](?!data:)", page)
    assert "--set shift=1" in page


def test_eval_and_predict(story: Story, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, told, errors = said(capsys, "eval", str(story.run))
    assert code == 0, errors
    right = re.search(r"(\d+) of 12 right", told)
    assert right is not None
    assert int(right[1]) / 12 == pytest.approx(lines_of(story.run)[-1]["test_accuracy"], abs=1e-6)

    image = next(story.images.glob("bright/*.png"))
    same_name = shutil.copy(image, tmp_path / image.name)
    code, told, errors = said(capsys, "predict", str(story.run), str(image), str(same_name))
    assert code == 0, errors
    assert len(re.findall(r"bright \d+\.\d%", told)) == 2
    for name in (f"{image.stem}-attention.png", f"{image.stem}-2-attention.png"):
        with Image.open(story.run / "predictions" / name) as overlay:
            assert (overlay.format, overlay.size) == ("PNG", (320, 320))  # 40 times 8 pixels

    taken = tmp_path / "taken"
    taken.write_text("no folder")
    code, _, errors = said(capsys, "predict", str(story.run), str(image), "--out", str(taken))
    assert code == 1
    assert errors.rstrip().endswith("; for another folder: --out FOLDER")

    swapped = tmp_path / "swapped"
    for one, other in (("dark", "bright"), ("bright", "dark")):
        shutil.copytree(story.images / one, swapped / other)
    code, told, errors = said(capsys, "eval", str(story.run), "--data", str(swapped))
    assert code == 0, errors
    wrong = re.search(r"(\d+) of 60 right", told)  # all of a folder without parts
    assert wrong is not None
    assert int(wrong[1]) < 30  # as all images are of the other class
    assert int(right[1]) > 6

    renamed = tmp_path / "renamed"
    shutil.copytree(story.images, renamed)
    (renamed / "bright").rename(renamed / "light")
    code, _, errors = said(capsys, "eval", str(story.run), "--data", str(renamed))
    assert code == 2
    assert "renamed has the classes dark, light; " in errors
    assert "run.json has bright, dark" in errors


@pytest.mark.parametrize(("name", "value"), [("seed", "x"), ("versions", None), ("fsdp", 1)])
def test_a_damaged_run_is_told_in_a_line(
    story: Story, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, value: object
) -> None:
    told = json.loads((story.run / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({**told, name: value}))
    code, _, errors = said(capsys, "train", "--resume", str(tmp_path))
    assert code == 2
    assert f"run.json cannot be read: its {name} is {value!r}" in errors


def test_the_images_and_the_versions_of_a_run_may_not_change_unnoticed(
    story: Story, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, images = tmp_path / "run", tmp_path / "images"
    shutil.copytree(story.run, run)
    shutil.copytree(story.images, images)
    told = json.loads((run / "run.json").read_text())
    assert told["recipe"]["data"] == str(story.images.resolve())
    told["recipe"]["data"] = str(tmp_path / "gone")
    told["versions"] |= {"optax": "0.1.0", "devices": "1 × NVIDIA H200"}
    (run / "run.json").write_text(json.dumps(told))
    code, _, errors = said(capsys, "train", "--resume", str(run))
    assert code == 2
    assert "there is no dataset" in errors
    assert "if its images have moved: --data FOLDER" in errors

    code, shown, errors = said(capsys, "train", "--resume", str(run), "--data", str(images))
    assert code == 0, errors
    assert "not what it began with, so the last digits may differ: optax 0.1.0 → " in shown
    assert "devices 1 × NVIDIA H200 → " in shown
    assert said(capsys, "eval", str(run))[0] == 0  # it knows the new place
    shutil.copy(next(images.glob("bright/*.png")), images / "dark" / "one-more.png")
    for words in (["eval", str(run)], ["train", "--resume", str(run)]):
        code, _, errors = said(capsys, *words)
        assert code == 2
        assert f"images is not what {run} was trained on; put its images back" in errors
    code, shown, errors = said(capsys, "eval", str(run), "--data", str(images))
    assert code == 0, errors
    assert "has changed since this model was trained on it" in shown
    assert " of 61 right" in shown


@pytest.mark.slow
def test_sigterm_saves_too(image_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = started(*words_for(image_folder, run))
    wait_for_epochs(run, 2)
    process.send_signal(signal.SIGTERM)
    told, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, errors
    step = re.search(r"saved at step (\d+)\. Go on with", told)
    assert step is not None
    assert parameters(run)["step"] == int(step[1])


@pytest.mark.slow
def test_killed_at_any_moment_and_resumed_it_is_the_same_bit_for_bit(
    image_folder: Path, tmp_path: Path
) -> None:
    whole = started(*words_for(image_folder, tmp_path / "whole"))
    _, errors = whole.communicate(timeout=300)
    assert whole.returncode == 0, errors
    expected = parameters(tmp_path / "whole")

    chance, run, kills = random.Random(0), tmp_path / "run", 0
    process = started(*words_for(image_folder, run))
    wait_for_epochs(run, 1)
    while kills < 6:
        time.sleep(chance.uniform(0.0, 1.5))
        process.kill()
        process.communicate()
        kills += 1
        process = started(*TRAIN, "--resume", str(run))
        time.sleep(chance.uniform(0.0, 6.0))
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert equal(parameters(run), expected)
    assert [line["epoch"] for line in lines_of(run)] == list(range(1, EPOCHS + 1))

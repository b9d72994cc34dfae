"""A disk that fills up: one line, and nothing lost that was saved before."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from grader.catalogue import ROOT
from solutions.training import runs
from solutions.training.data import Dataset
from solutions.training.disk import CannotSave, write_whole
from tests.training.conftest import (
    TINY,
    TINY_WORDS,
    environment,
    equal,
    lines_of,
    parameters,
    python,
)

UNSHARE = ["unshare", "--user", "--mount", "--map-root-user"]


def can_mount() -> bool:
    words = [*UNSHARE, "mount", "-t", "tmpfs", "-o", "size=8k", "none", "/tmp"]
    try:
        return subprocess.run(words, check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def in_a_disk_of_its_own(folder: Path, size: str, script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script while a file system of ``size`` lies on ``folder``."""
    folder.mkdir()
    mount = f"mount -t tmpfs -o size={size} none {folder} || exit 77\n"
    return subprocess.run(
        [*UNSHARE, "sh", "-c", mount + script],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def test_a_file_that_cannot_be_written_is_one_line(tiny_data: Dataset, tmp_path: Path) -> None:
    run = runs.new(tmp_path, TINY, 0, tiny_data, "train")
    run.save()
    run.metrics.symlink_to("/dev/full")
    with pytest.raises(CannotSave, match=r"metrics\.jsonl: the disk is full; what was saved"):
        run.add_metrics({"epoch": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):  # and no line that is no JSON
        run.add_metrics({"test_loss": float("nan")})
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotSave, match=r"page\.html: cannot be written: Not a directory"):
        write_whole(tmp_path / "file" / "page.html", "")


@pytest.mark.skipif(not can_mount(), reason="cannot mount a small disk")
def test_saving_to_a_full_disk(tmp_path: Path) -> None:
    script = f"""{sys.executable} - <<'END'
import os
import re
from pathlib import Path
import jax.numpy as jnp
from solutions.training.checkpoints import CannotSave, Checkpoints
checkpoints = Checkpoints(Path({str(tmp_path / "disk" / "c")!r}), 2)
for step in range(1, 9):
    try:
        checkpoints.save(step, {{"state": jnp.full(9000, 1.0 * step)}}, (), 0.0)
        checkpoints.wait()
        there = sorted(os.listdir(checkpoints.folder))
    except CannotSave as error:
        print("told", error)
        print("lost", [name for name in there if not (checkpoints.folder / name).is_dir()])
        break
checkpoints.close()
END"""
    done = in_a_disk_of_its_own(tmp_path / "disk", "120k", script)
    assert done.returncode == 0, done.stderr
    told, lost = done.stdout.splitlines()
    assert told.endswith(
        "disk/c: the disk is full; what was saved before is still there. Make room and resume"
    )
    assert lost == "lost []"
    assert not re.findall(r"Traceback|Error|never retrieved", done.stderr), done.stderr


LATE_REPORTS = """
import asyncio, gc, sys
from pathlib import Path
import tensorstore
from solutions.training.checkpoints import Checkpoints

def report(text):
    "What a thread of TensorStore does after a loop was given up, and then what asyncio does."
    loop = asyncio.new_event_loop()
    promise, future = tensorstore.Promise.new()
    async def wait():
        asyncio.ensure_future(forever())
        await asyncio.sleep(0.01)
        lost = loop.create_future()
        lost.set_exception(ValueError(text + " [tensorstore_spec=...]"))
    async def forever():
        await future
    loop.run_until_complete(wait())
    loop.close()
    promise.set_result(0)
    gc.collect()

class Mine:
    def __del__(self):
        raise ValueError("somebody else's")

checkpoints = Checkpoints(Path(sys.argv[1]))
report("while open")
Mine()
checkpoints.close()
report("after all went well")
"""


def test_what_orbax_gave_up_is_dropped_and_nothing_else(tmp_path: Path) -> None:
    told = python("-c", LATE_REPORTS, str(tmp_path / "c")).stderr
    assert "while open" not in told
    assert "somebody else's" in told
    assert "after all went well" in told
    assert told.count("RuntimeError: Event loop is closed") == 1, told


@pytest.mark.slow
@pytest.mark.skipif(not can_mount(), reason="cannot mount a small disk")
@pytest.mark.parametrize("share", [0.02, 0.5, 0.8, 0.98])
def test_a_run_goes_on_when_there_is_room_again(share: float, tmp_path: Path) -> None:
    """On a disk that holds a share of what the run leaves in the end."""
    words = f"train --data digits {' '.join(TINY_WORDS)} --set batch_size=128 --set epochs=6"
    words += " --set checkpoint_every=1 --set mixup=0.0"
    whole, disk = tmp_path / "whole", tmp_path / "disk"
    done = python("-m", "grader", *words.split(), "--out", str(whole))
    assert done.returncode == 0, done.stderr
    pages = sum(-(-file.stat().st_size // 4096) for file in whole.rglob("*") if file.is_file())
    size = f"{max(2, int(share * pages)) * 4}k"
    grader, run = f"{sys.executable} -m grader", disk / "run"
    script = f"""
    {grader} {words} --out {run} 2> {tmp_path}/first; echo $? > {tmp_path}/code
    mount -o remount,size=64m {disk}
    if [ -e {run}/run.json ]; then {grader} train --resume {run} || exit
    else {grader} {words} --out {run} || exit
    fi
    cp -r {run} {tmp_path}/rescued"""
    done = in_a_disk_of_its_own(disk, size, script)
    told = (tmp_path / "first").read_text()
    assert done.returncode == 0, told + done.stderr
    assert (tmp_path / "code").read_text() == "1\n"
    assert len(told.splitlines()) == 1
    assert "the disk is full; what was saved before is still there" in told
    assert equal(parameters(tmp_path / "rescued"), parameters(whole))
    assert [line["epoch"] for line in lines_of(tmp_path / "rescued")] == [1, 2, 3, 4, 5, 6]

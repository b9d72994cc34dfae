"""Checkpoints: what is saved can be read, what is damaged is told and put aside."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from solutions.training.checkpoints import AnotherRun, CannotSave, Checkpoints, NoCheckpoint

Lines = list[str]


def carry(value: float, size: int = 500) -> dict[str, jax.Array]:
    return {"state": jnp.full(size, value)}


@pytest.fixture
def lines() -> Lines:
    return []


def opened(folder: Path, lines: Lines, keep: int = 2, run: str = "one") -> Checkpoints:
    return Checkpoints(folder, keep, lines.append, run)


def saved(folder: Path, *steps: int, keep: int = 2) -> None:
    checkpoints = opened(folder, [], keep)
    for step in steps:
        checkpoints.save(step, carry(step), ({"epoch": step},), 1.5)
    checkpoints.wait()
    checkpoints.close()


def damage(checkpoint: Path) -> None:
    for file in checkpoint.rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[:20])


def test_what_the_machine_did_not_finish_writing_is_skipped(tmp_path: Path, lines: Lines) -> None:
    """A power cut, before anybody kept the sum over its files."""
    saved(tmp_path / "c", 1, 2)
    (tmp_path / "c" / "2" / "sha256").unlink()
    damage(tmp_path / "c" / "2" / "carry")
    skipped = "the checkpoint of step 2 is skipped"
    looking = Checkpoints(tmp_path / "c", tell=lines.append, read_only=True)
    assert looking.newest_state()[0] == 1
    looking.close()
    checkpoints = opened(tmp_path / "c", lines)
    found = checkpoints.newest(carry(0))
    checkpoints.close()
    assert found is not None
    assert found.step == 1
    assert [line.partition(":")[0] for line in lines] == [skipped, skipped]
    assert (tmp_path / "c-unreadable" / "2").is_dir()


def test_the_newest_ones_are_kept(tmp_path: Path, lines: Lines) -> None:
    saved(tmp_path / "c", 1, 2, 3, 4)
    checkpoints = opened(tmp_path / "c", lines)
    assert checkpoints.steps() == [3, 4]
    found = checkpoints.newest(carry(0))
    checkpoints.close()
    assert found is not None
    assert dataclasses.replace(found, carry={}) == type(found)(4, {}, ({"epoch": 4},), 1.5)
    assert np.array_equal(found.carry["state"], carry(4)["state"])
    assert lines == []


def test_after_a_damaged_one_steps_are_saved_again(tmp_path: Path, lines: Lines) -> None:
    saved(tmp_path / "c", 1, 2)
    damage(tmp_path / "c" / "2")
    checkpoints = opened(tmp_path / "c", lines)
    found = checkpoints.newest(carry(0))
    assert found is not None
    assert found.step == 1
    assert lines[0].startswith("the checkpoint of step 2 is skipped")
    assert (tmp_path / "c-unreadable" / "2").is_dir()
    checkpoints.save(2, carry(7), (), 0.0)
    checkpoints.wait()
    checkpoints.close()
    again = opened(tmp_path / "c", lines).newest(carry(0))
    assert again is not None
    assert again.carry["state"][0] == 7


def test_a_step_before_the_last_one_is_not_silently_left_out(tmp_path: Path, lines: Lines) -> None:
    saved(tmp_path / "c", 5)
    checkpoints = opened(tmp_path / "c", lines)
    with pytest.raises(CannotSave, match="step 3 is not saved, as there is a checkpoint of step 5"):
        checkpoints.save(3, carry(3), (), 0.0)
    checkpoints.close()


def test_another_run_is_told_whatever_its_shapes(tmp_path: Path, lines: Lines) -> None:
    saved(tmp_path / "c", 1)
    checkpoints = opened(tmp_path / "c", lines, run="two")
    with pytest.raises(AnotherRun, match="another recipe, seed, answers or images"):
        checkpoints.newest(carry(0, size=3))
    checkpoints.close()
    assert lines == []


def test_half_written_ones_are_told_and_deleted(tmp_path: Path, lines: Lines) -> None:
    saved(tmp_path / "c", 1)
    (tmp_path / "c" / "2.orbax-checkpoint-tmp").mkdir()
    (tmp_path / "c" / "2.orbax-checkpoint-tmp" / "carry").write_bytes(b"\0" * 100)
    checkpoints = opened(tmp_path / "c", lines)
    found = checkpoints.newest(carry(0))
    checkpoints.close()
    assert found is not None
    assert found.step == 1
    assert lines == ["skipped and deleted, as it was only half written: step 2"]
    assert sorted(path.name for path in (tmp_path / "c").glob("2*")) == []


def test_a_changed_bit_is_found(tmp_path: Path, lines: Lines) -> None:
    saved(tmp_path / "c", 1, 2)
    files = (path for path in (tmp_path / "c" / "2").rglob("*") if path.is_file())
    largest = max(files, key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    looking = Checkpoints(tmp_path / "c", tell=lines.append, read_only=True)
    assert looking.newest_state()[0] == 1
    looking.close()
    told = "the checkpoint of step 2 is skipped: its files are no longer as they were written"
    assert lines == [told]


def test_who_only_looks_makes_nothing(tmp_path: Path) -> None:
    looking = Checkpoints(tmp_path / "none" / "c", read_only=True)
    with pytest.raises(NoCheckpoint, match="holds no checkpoint that can be read"):
        looking.newest_state()
    looking.close()
    assert not (tmp_path / "none").exists()


def test_two_do_not_train_in_one_folder(tmp_path: Path, lines: Lines) -> None:
    saved(tmp_path / "c", 1)
    one, other = opened(tmp_path / "c", lines), opened(tmp_path / "c", lines)
    assert one.newest(carry(0)) is not None
    with pytest.raises(AnotherRun, match="another process is training there"):
        other.newest(carry(0))
    one.close()
    assert other.newest(carry(0)) is not None
    other.close()


def test_a_folder_that_cannot_be_locked_is_one_line(tmp_path: Path, lines: Lines) -> None:
    saved(tmp_path / "c", 1)
    (tmp_path / ".lock").mkdir()
    checkpoints = opened(tmp_path / "c", lines)
    with pytest.raises(CannotSave, match=f"{tmp_path}: cannot be written: Is a directory"):
        checkpoints.newest(carry(0))
    checkpoints.close()


@pytest.mark.parametrize("wanted", [{"state": 500, "more": 3}, {"state": 3}], ids=str)
def test_other_arrays_than_the_saved_ones_put_nothing_aside(
    tmp_path: Path, lines: Lines, wanted: dict[str, int]
) -> None:
    """As when another version of Optax keeps something more."""
    saved(tmp_path / "c", 1, 2)
    checkpoints = opened(tmp_path / "c", lines)
    told = r"step 2 cannot be read now \(.*it stays there\. .* move .*/c/2 away"
    with pytest.raises(NoCheckpoint, match=told):
        checkpoints.newest({name: jnp.zeros(size) for name, size in wanted.items()})
    assert checkpoints.steps() == [1, 2]
    checkpoints.close()
    assert lines == []
    again = opened(tmp_path / "c", lines)
    found = again.newest(carry(0))
    again.close()
    assert found is not None
    assert found.step == 2


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), PermissionError(13, "no")])
def test_what_the_system_refuses_puts_nothing_aside(
    tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    saved(tmp_path / "c", 1)
    checkpoints = opened(tmp_path / "c", lines)

    def restore(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(checkpoints._manager, "restore", restore)
    told = r"step 1 cannot be read now .*it stays there"
    with pytest.raises(NoCheckpoint, match=told):
        checkpoints.newest(carry(0))
    with pytest.raises(NoCheckpoint, match=told):
        checkpoints.newest_state()
    checkpoints.close()
    assert (tmp_path / "c" / "1").is_dir()
    assert lines == []


def test_a_folder_that_may_not_be_listed_is_no_damage(
    tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path / "c", 1)
    checkpoints = opened(tmp_path / "c", lines)
    scandir = os.scandir

    def refusing(path: Any = ".") -> Any:
        if Path(path).name == "carry":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(NoCheckpoint, match=r"step 1 cannot be read now .*Permission denied"):
        checkpoints.newest(carry(0))
    checkpoints.close()
    assert (tmp_path / "c" / "1").is_dir()


def test_a_second_damaged_one_of_a_step_lies_beside_the_first(tmp_path: Path) -> None:
    for _ in range(2):
        saved(tmp_path / "c", 1)
        damage(tmp_path / "c" / "1")
        checkpoints = opened(tmp_path / "c", [])
        assert checkpoints.newest(carry(0)) is None
        checkpoints.close()
    assert sorted(path.name for path in (tmp_path / "c-unreadable").iterdir()) == ["1", "1-2"]

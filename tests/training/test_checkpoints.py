"""Checkpoints: what is saved can be read, what cannot be read is told and put aside."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from solutions.training.checkpoints import AnotherRun, CannotSave, Checkpoints

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
    with pytest.raises(AnotherRun, match="another recipe, seed or answers"):
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

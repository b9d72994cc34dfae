"""Which Parquet files are the part to train on and the one to test on, and what is amiss there."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from solutions.training import data
from solutions.training.data import BadData
from tests.training.conftest import shades
from tests.training.test_data import parquet, png


def part(path: Path, labels: Sequence[int], seed: int = 0) -> Path:
    """A Parquet file with an image for each label; names of classes are not told."""
    cells = [{"bytes": png(image)} for image in shades(len(labels), seed)[0]]
    return parquet(path, cells, list(labels), ("img", "label"), classes=())


def test_the_folder_names_a_part_where_the_file_does_not(tmp_path: Path) -> None:
    """As Hugging Face converts datasets."""
    for name, labels in (("train", [0, 1, 1]), ("validation", [1]), ("test", [0, 1])):
        part(tmp_path / "default" / name / "0000.parquet", labels)
    found = data.load(str(tmp_path))
    assert (found.train_labels.tolist(), found.test_labels.tolist()) == ([0, 1, 1], [0, 1])


def test_the_name_of_the_file_counts_first_and_then_the_nearest_folder(tmp_path: Path) -> None:
    part(tmp_path / "train/test-0.parquet", [1, 1])
    part(tmp_path / "test/Train/0000.parquet", [0, 1, 1])
    part(tmp_path / "train.parquet/part-0.parquet", [0])  # as Spark writes
    part(tmp_path / "train_old/0000.parquet", [0, 1])
    found = data.load(str(tmp_path))
    assert (found.train_labels.tolist(), found.test_labels.tolist()) == ([0, 1, 1, 0], [1, 1])
    shutil.rmtree(tmp_path / "train")
    with pytest.raises(BadData, match=r"with test or .* or valid, nor one in a folder called so"):
        data.load(str(tmp_path))


@pytest.mark.parametrize(
    ("there", "missing"),
    [
        (["train-00000-of-00003", "train-00002-of-00003"], "train-00001-of-00003"),
        (["train-1-of-3", "train-3-of-3"], "train-2-of-3"),
        (["train-00001-of-00002-0a1b"], "train-00000-of-00002"),
        (["train/0-of-2", "train/other/1-of-2"], "1-of-2"),
    ],
)
def test_a_file_that_is_missing_among_several_is_named(
    there: list[str], missing: str, tmp_path: Path
) -> None:
    for name in there:
        part(tmp_path / f"{name}.parquet", [0, 1])
    part(tmp_path / "test-0.parquet", [0, 1])
    with pytest.raises(BadData) as caught:
        data.load(str(tmp_path))
    assert str(caught.value).startswith(
        f"{(tmp_path / there[0]).parent / missing} is missing; {Path(there[0]).name}.parquet is one"
    )
    assert "\n" not in str(caught.value)


def test_files_that_are_all_there_are_one_part(tmp_path: Path) -> None:
    """Whatever follows their numbers, and counted from 0 or from 1."""
    for name in ("train-0-of-2-ab", "train-1-of-2-cd", "test-1-of-2", "test-2-of-2"):
        part(tmp_path / f"{name}.parquet", [0, 1])
    found = data.load(str(tmp_path))
    assert (len(found.train_labels), len(found.test_labels)) == (4, 4)


def test_a_file_without_labels_among_others_is_named(tmp_path: Path) -> None:
    part(tmp_path / "train-0.parquet", [0, 1])
    part(tmp_path / "train-1.parquet", [-1, -1])
    part(tmp_path / "test-0.parquet", [0, 1])
    with pytest.raises(BadData, match=r"train-1\.parquet, row 0: -1 is no label"):
        data.load(str(tmp_path))
    part(tmp_path / "train-1.parquet", [0])
    part(tmp_path / "test-1.parquet", [-1, -1])
    for load in (data.load, lambda source: data.load_test(source, None, "")):
        with pytest.raises(BadData, match=r"test-1\.parquet, row 0: -1 is no label"):
            load(str(tmp_path))


def test_a_label_that_only_test_images_have_is_a_mix_up(tmp_path: Path) -> None:
    part(tmp_path / "train-0.parquet", [0, 1, 1, 4])
    part(tmp_path / "test-0.parquet", [0, 4, 3, 9])
    with pytest.raises(BadData, match=r"test-0\.parquet, row 2: label 3, which no image to train"):
        data.load(str(tmp_path))
    part(tmp_path / "test-0.parquet", [0, 4])
    assert len(data.load(str(tmp_path)).classes) == 5

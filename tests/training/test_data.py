"""Images from everywhere; whatever is wrong with them is one line that says where."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grader.catalogue import ROOT
from solutions.training import data, hub
from solutions.training.data import BadData
from solutions.training.recipe import named
from tests.training.conftest import shades

CIFAR = ROOT.parent / "shared" / "data" / "cifar10_jpeg"


def png(image: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "PNG")
    return buffer.getvalue()


def parquet(
    path: Path,
    cells: list[Any],
    labels: list[Any],
    names: tuple[str, str],
    classes: tuple[str, ...] = ("dark", "bright"),
) -> Path:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as files

    features = {names[1]: {"_type": "ClassLabel", "names": list(classes)}}
    told = json.dumps({"info": {"features": features}})
    table = arrow.table({names[0]: cells, names[1]: labels})
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_table(table.replace_schema_metadata({"huggingface": told}), path)
    return path


def shades_as_parquet(folder: Path, names: tuple[str, str] = ("img", "label")) -> Path:
    for part, count, seed in (("train", 20, 0), ("test", 6, 1)):
        images, labels = shades(count, seed)
        cells = [{"bytes": png(image), "path": None} for image in images]
        parquet(folder / "plain" / f"{part}-0.parquet", cells, labels.tolist(), names)
    return folder


def test_digits_are_split_once_and_for_all() -> None:
    one, two = data.digits(), data.digits()
    assert one.train_images.shape == (1438, 8, 8, 1)
    assert one.test_images.shape == (359, 8, 8, 1)
    assert np.array_equal(one.test_images, two.test_images)
    shares = np.bincount(one.test_labels) / np.bincount(one.train_labels)
    assert np.abs(shares - 0.25).max() < 0.02
    assert len(np.unique(one.train_images)) == 17


@pytest.mark.parametrize("names", [("img", "label"), ("image", "fine_label")])
def test_parquet_in_the_layout_of_hugging_face(tmp_path: Path, names: tuple[str, str]) -> None:
    found = data.load(str(shades_as_parquet(tmp_path, names)))
    images, labels = shades(20)
    assert np.array_equal(found.train_images, images)
    assert np.array_equal(found.train_labels, labels)
    assert found.classes == ("dark", "bright")
    assert len(found.test_images) == 6


def test_class_folders(image_folder: Path) -> None:
    found = data.load(str(image_folder))
    assert found.classes == ("bright", "dark")
    assert len(found.train_images) == 48
    bright = found.test_images[found.test_labels == 0]
    assert bright.min() >= 120
    assert data.load(str(image_folder), image_size=4).image_shape == (4, 4, 1)


def test_train_and_test_folders(image_folder: Path, tmp_path: Path) -> None:
    both = tmp_path / "both"
    both.mkdir()
    for part in ("train", "val"):
        (both / part).symlink_to(image_folder, target_is_directory=True)
    found = data.load(str(both))
    assert len(found.train_images) == len(found.test_images) == 60


def damaged(folder: Path) -> None:
    path = folder / "plain" / "train-0.parquet"
    path.write_bytes(path.read_bytes()[:100])


def no_image(folder: Path) -> None:
    cells = [{"bytes": png(shades(1)[0][0]), "path": None}, {"bytes": b"not an image", "path": ""}]
    parquet(folder / "plain" / "train-0.parquet", cells, [0, 1], ("img", "label"))


def empty_cell(folder: Path) -> None:
    cells = [{"bytes": png(shades(1)[0][0])}, {"bytes": None}]
    parquet(folder / "plain" / "train-0.parquet", cells, [0, 1], ("img", "label"))


def no_rows(folder: Path) -> None:
    import pyarrow as arrow

    parquet(
        folder / "plain" / "train-0.parquet",
        arrow.array([], arrow.binary()),
        arrow.array([], arrow.int64()),
        ("img", "label"),
    )


def no_labels(folder: Path) -> None:
    parquet(folder / "plain" / "train-0.parquet", [{"bytes": b"x"}], ["a"], ("img", "label"))


def other_column(folder: Path) -> None:
    parquet(folder / "plain" / "train-0.parquet", [b"x"], [0], ("img", "species"))


def label_too_large(folder: Path) -> None:
    cells = [{"bytes": png(shades(1)[0][0])}] * 3
    parquet(folder / "plain" / "train-1.parquet", cells, [0, 1, 7], ("img", "label"))


def other_names(folder: Path) -> None:
    cells = [{"bytes": png(shades(1)[0][0])}]
    path = folder / "plain" / "train-1.parquet"
    parquet(path, cells, [0], ("img", "label"), classes=("bright", "dark"))


def other_names_in_test(folder: Path) -> None:
    cells = [{"bytes": png(shades(1)[0][0])}]
    path = folder / "plain" / "test-0.parquet"
    parquet(path, cells, [0], ("img", "label"), classes=("cat", "dog"))


def label_beyond_int32(folder: Path) -> None:
    cells = [{"bytes": png(shades(1)[0][0])}]
    parquet(folder / "plain" / "train-0.parquet", cells, [2**40], ("img", "label"))


def mixed_sizes(folder: Path) -> None:
    cells = [{"bytes": png(np.zeros((s, s, 1), np.uint8))} for s in (8, 8, 4)]
    parquet(folder / "plain" / "train-0.parquet", cells, [0, 1, 0], ("img", "label"))


def no_test_part(folder: Path) -> None:
    (folder / "plain" / "test-0.parquet").unlink()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (damaged, "train-0.parquet cannot be read as Parquet"),
        (no_image, "train-0.parquet, row 1: this is no image, or of a kind that cannot be read"),
        (empty_cell, "train-0.parquet, row 1: no encoded image"),
        (no_rows, "train-0.parquet has no rows"),
        (no_labels, "train-0.parquet, row 0: 'a' is no label"),
        (other_column, "train-0.parquet has no column of labels"),
        (label_too_large, "train-1.parquet, row 2: label 7, but "),
        (label_beyond_int32, "train-0.parquet, row 0: 1099511627776 is too large"),
        (other_names, "train-1.parquet names other classes (bright, dark) than "),
        (other_names_in_test, "test-0.parquet names other classes (cat, dog) than "),
        (
            mixed_sizes,
            "row 2: an image of height 4 and width 4 among images of height 8 and",
        ),
        (no_test_part, "no Parquet file with labels whose name begins with test"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_row(tmp_path: Path, damage: Any, told: str) -> None:
    damage(shades_as_parquet(tmp_path))
    with pytest.raises(BadData) as caught:
        data.load(str(tmp_path))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("part", "change", "told"),
    [
        ("train_labels", lambda a: a + 0.5, "the train labels must be integers; they are float64"),
        ("test_labels", lambda a: a.astype(str), "the test labels must be integers; they are <U11"),
        ("test_labels", lambda a: a.tolist(), "the test labels are of type list; np.asarray"),
        ("train_images", lambda a: a.tolist(), "the train images are of type list; np.asarray"),
    ],
)
def test_arrays_of_another_kind_are_told(part: str, change: Any, told: str) -> None:
    images, labels = shades(12)
    known = data.Dataset("shades", images, labels, images, labels, ("dark", "bright"))
    with pytest.raises(BadData, match=f"shades: {told}"):
        dataclasses.replace(known, **{part: change(getattr(known, part))})


def test_wrong_folders(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="there is no dataset 'cifar11'"):
        data.load("cifar11")
    with pytest.raises(BadData, match="holds no Parquet files and no class folders"):
        data.load(str(tmp_path))
    (tmp_path / "cats").mkdir()
    (tmp_path / "dogs").mkdir()
    with pytest.raises(BadData, match="cats holds no images"):
        data.load(str(tmp_path))


def test_an_unreadable_file_among_class_folders(image_folder: Path) -> None:
    (image_folder / "dark" / "gone.png").symlink_to(image_folder / "nowhere.png")
    with pytest.raises(BadData, match=r"gone\.png cannot be read: No such file"):
        data.load(str(image_folder))


def test_the_digits_have_one_size_and_a_recipe_may_have_no_images() -> None:
    with pytest.raises(BadData, match="image_size is 16, but the digits are 8 × 8"):
        data.load("digits", 16)
    with pytest.raises(BadData, match="images of your own: say --data FOLDER"):
        data.load(named("vit-s16-224").data, 224)


def test_the_statistics_are_the_mean_and_the_deviation_of_each_channel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (11, 4, 5, 3), np.uint8)
    images[..., 1] //= 3
    labels = np.zeros(11, np.int32)
    monkeypatch.setattr(data, "_PIXELS_AT_ONCE", 70)  # four parts
    mean, std = data.Dataset("noise", images, labels, images, labels, ("one",)).statistics
    assert np.allclose(mean, images.mean(axis=(0, 1, 2)))
    assert np.allclose(std, images.std(axis=(0, 1, 2)))


def test_the_statistics_look_at_all_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "_ENOUGH_IMAGES", 8)
    images = np.repeat(np.array([0, 200], np.uint8), 50)[:, None, None, None]
    labels = np.repeat(np.arange(2), 50)
    found = data.Dataset("sorted", images, labels, images, labels, ("dark", "bright"))
    assert 80 < found.statistics[0][0] < 120


def fake_hub(monkeypatch: pytest.MonkeyPatch, cache: Path) -> list[tuple[str, str, str]]:
    """``hf_hub_download`` on a cache as ``huggingface_hub`` lays it out; what was asked for."""
    package = pytest.importorskip("huggingface_hub")
    made = shades_as_parquet(cache / "made")
    asked = []

    def download(repo: str, file: str, *, repo_type: str, revision: str) -> str:
        assert repo_type == "dataset"
        asked.append((repo, file, revision))
        part = "train" if "train" in file else "test"
        content = (made / "plain" / f"{part}-0.parquet").read_bytes()
        blob = cache / "blobs" / hashlib.sha256(content).hexdigest()
        link = cache / "snapshots" / revision / file
        blob.parent.mkdir(exist_ok=True)
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            blob.write_bytes(content)
            link.symlink_to(blob)
        return str(link)

    monkeypatch.setattr(package, "hf_hub_download", download)
    return asked


@pytest.mark.parametrize("name", hub.NAMES)
def test_datasets_of_the_hub(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = fake_hub(monkeypatch, tmp_path)
    found = data.load(name)
    assert found.name == name
    assert len(found.train_images) == 20
    assert {len(revision) for _, _, revision in asked} == {40}
    assert all(name in repo for repo, _, _ in asked)


def test_a_damaged_download_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_hub(monkeypatch, tmp_path)
    data.load("mnist")
    blob = next((tmp_path / "blobs").iterdir())
    blob.write_bytes(blob.read_bytes()[:-1])
    with pytest.raises(BadData, match="is damaged"):
        data.load("mnist")


def test_no_network_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    package = pytest.importorskip("huggingface_hub")
    logger, warns = logging.getLogger("huggingface_hub.utils._http"), []

    def download(*_: Any, **__: Any) -> str:
        warns.append(logger.isEnabledFor(logging.WARNING))
        raise ConnectionError(f"no route to host {'however tried ' * 20}\nand a long story")

    monkeypatch.setattr(package, "hf_hub_download", download)
    with pytest.raises(BadData, match=r"cannot be fetched \(no route to host .* however …\)"):
        data.load("cifar10")
    assert warns == [False]  # of each try again
    assert logger.isEnabledFor(logging.WARNING)


@pytest.mark.slow
@pytest.mark.skipif(not CIFAR.exists(), reason="no local copy of CIFAR-10")
def test_cifar10_from_a_local_copy() -> None:
    found = data.load(str(CIFAR))
    assert found.train_images.shape == (50_000, 32, 32, 3)
    assert found.classes[3] == "cat"
    assert np.bincount(found.test_labels).tolist() == [1000] * 10

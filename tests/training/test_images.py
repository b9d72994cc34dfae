"""Image files as people have them: deep, turned, transparent, beside what systems leave."""

from __future__ import annotations

import io
import os
import shutil
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from solutions.training import data
from solutions.training.data import BadData
from solutions.training.decoding import decode
from tests.training.conftest import python
from tests.training.test_data import parquet, png, shades_as_parquet

_ORIENTATION = 0x0112


def encoded(pixels: np.ndarray, kind: str, **more: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **more)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_of_16_bits_the_upper_8_are_taken(kind: str) -> None:
    ramp = np.arange(0, 2**16, 2**12, dtype=np.uint16).reshape(4, 4)
    assert np.array_equal(decode(encoded(ramp, kind), "x")[..., 0], ramp >> 8)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_values_of_32_bits_are_refused(dtype: type) -> None:
    with pytest.raises(BadData, match=r"deep\.tif: its values have 32 bits"):
        decode(encoded(np.zeros((2, 2), dtype), "TIFF"), "deep.tif")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_photo_stands_upright(kind: str) -> None:
    sideways = np.zeros((16, 24, 3), np.uint8)
    sideways[:8] = 255
    exif = Image.Exif()
    exif[_ORIENTATION] = 6  # the first row is the right side
    upright = decode(encoded(sideways, kind, exif=exif), "x")
    assert upright.shape == (24, 16, 3)
    assert upright[:, 12:].mean() > 250 > 5 > upright[:, :4].mean()


@pytest.mark.parametrize("type_", ["transparent", "deep"])
def test_so_does_a_picture_that_is_transparent_or_has_16_bits(type_: str) -> None:
    exif = Image.Exif()
    exif[_ORIENTATION] = 6
    transparent, deep = np.full((8, 16, 4), 255, np.uint8), np.zeros((8, 16), np.uint16)
    pixels = transparent if type_ == "transparent" else deep
    assert decode(encoded(pixels, "PNG", exif=exif), "x").shape[:2] == (16, 8)


@pytest.mark.parametrize(
    ("tag", "type_", "value"),
    [(0x0128, 11, struct.pack("<f", 2.5)), (0x0131, 4, struct.pack("<I", 7))],
    ids=["unit as a float", "software as a number"],
)
def test_so_does_a_photo_with_tags_of_another_type(tag: int, type_: int, value: bytes) -> None:
    """Cameras and editors write such; the pixels are fine."""
    turned = struct.pack("<HHII", _ORIENTATION, 3, 1, 6)
    odd = struct.pack("<HHI", tag, type_, 1) + value
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2) + turned + odd + bytes(4)
    photo = encoded(np.zeros((8, 16), np.uint8), "JPEG", exif=exif)
    assert decode(photo, "x").shape == (16, 8, 1)


@pytest.mark.parametrize("channels", [2, 4])
def test_what_is_transparent_is_white(channels: int) -> None:
    pixels = np.zeros((3, 3, channels), np.uint8)
    pixels[1, 1, -1] = 255  # the only one that is seen, black
    found = decode(encoded(pixels, "PNG"), "x")
    expected = np.full((3, 3), 255)
    expected[1, 1] = 0
    assert found.shape[-1] == channels - 1
    assert all(np.array_equal(found[..., c], expected) for c in range(channels - 1))


def test_a_large_photo_is_no_attack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(encoded(np.zeros((3, 5), np.uint8), "PNG"), "x").shape == (3, 5, 1)


def test_hidden_files_and_those_of_systems_are_passed_over(image_folder: Path) -> None:
    before = data.load(str(image_folder))
    for name in (".ipynb_checkpoints", "__MACOSX"):
        (image_folder / name).mkdir()
        (image_folder / name / "a.png").write_bytes(b"no image")
    (image_folder / "dark" / "._a.png").write_bytes(b"no image")
    (image_folder / "dark" / "Thumbs.db").write_bytes(b"no image")
    assert data.load(str(image_folder)).digest == before.digest


@pytest.mark.parametrize("to", [".", "..", "../.."])
def test_a_link_that_leads_back_brings_no_image_twice(image_folder: Path, to: str) -> None:
    deeper = image_folder / "dark" / "more"
    deeper.mkdir()
    next(image_folder.glob("dark/*.png")).rename(deeper / "one.png")
    before = data.load(str(image_folder)).digest
    (deeper / "again").symlink_to(to, target_is_directory=True)
    assert data.load(str(image_folder)).digest == before


@pytest.mark.parametrize("as_tables", [False, True])
def test_what_is_no_file_is_passed_over(
    as_tables: bool, image_folder: Path, tmp_path: Path
) -> None:
    """A pipe would be waited for, for ever, so another process looks."""
    folder = shades_as_parquet(tmp_path / "tables") if as_tables else image_folder
    before = data.load(str(folder)).digest
    if as_tables:
        (folder / "train-2.parquet").mkdir()
    os.mkfifo(folder / ("train-1.parquet" if as_tables else "dark/a.png"))
    look = "import sys; from solutions.training import data; print(data.load(sys.argv[1]).digest)"
    done = python("-c", look, str(folder), timeout=30)
    assert done.stdout == f"{before}\n", done.stderr


def test_parquet_files_in_hidden_folders_are_passed_over(tmp_path: Path) -> None:
    before = data.load(str(shades_as_parquet(tmp_path))).digest
    for name in (".old", "__MACOSX"):
        shutil.copytree(tmp_path / "plain", tmp_path / name)
    assert data.load(str(tmp_path)).digest == before


def test_images_in_folders_inside_a_class_belong_to_it(image_folder: Path) -> None:
    before = data.load(str(image_folder))
    deeper = image_folder / "dark" / "more" / "of it"
    deeper.mkdir(parents=True)
    for file in sorted(image_folder.glob("dark/*.png"))[5:]:
        file.rename(deeper / file.name)
    found = data.load(str(image_folder))
    assert len(found.train_labels) == len(before.train_labels)
    assert np.bincount(found.test_labels).tolist() == np.bincount(before.test_labels).tolist()


def test_a_test_folder_without_classes_is_passed_over(image_folder: Path, tmp_path: Path) -> None:
    """As ImageNet comes, whose test images have no labels."""
    both = tmp_path / "both"
    (both / "test").mkdir(parents=True)
    shutil.copytree(image_folder, both / "train")
    shutil.copy(next(image_folder.glob("dark/*")), both / "test")
    with pytest.raises(BadData, match=r"none called test or .* with class folders"):
        data.load(str(both))
    shutil.copytree(image_folder, both / "val")
    assert len(data.load(str(both)).test_images) == 60


def test_what_no_memory_holds_is_not_decoded(image_folder: Path) -> None:
    with pytest.raises(BadData, match=r"60 images of 200000 × 200000 take \d+ GB, "):
        data.load(str(image_folder), image_size=200_000)


def test_one_class_folder_is_not_enough(image_folder: Path) -> None:
    shutil.rmtree(image_folder / "dark")
    with pytest.raises(BadData, match="has a single class folder, bright; "):
        data.load(str(image_folder))


def test_of_every_class_some_are_held_out() -> None:
    labels = np.repeat(np.arange(3, dtype=np.int32), [300, 300, 2])
    images = np.zeros((len(labels), 4, 4, 1), np.uint8)
    found = data.split("rare", images, labels, ("a", "b", "c"))
    assert np.bincount(found.test_labels).tolist() == [60, 60, 1]
    assert np.bincount(found.train_labels).tolist() == [240, 240, 1]


def test_what_to_test_on(image_folder: Path, tmp_path: Path) -> None:
    """A test part where there is one, else all, but nothing that was trained on."""
    trained = data.load(str(image_folder))
    assert len(data.load_test(str(image_folder), None, "something else").images) == 60
    told: list[str] = []
    again = data.load_test(str(image_folder), None, trained.digest, tell=told.append)
    assert "a fifth that was held out" in told[0]
    assert np.array_equal(again.images, trained.test_images)
    parts = shades_as_parquet(tmp_path / "parts")
    (parts / "plain" / "train-0.parquet").unlink()
    assert len(data.load_test(str(parts), None, trained.digest).images) == 6


def test_other_endings_are_images_too(image_folder: Path) -> None:
    black = np.zeros((8, 8), np.uint8)
    for name, kind in (("a.tif", "TIFF"), ("b.GIF", "GIF")):
        (image_folder / "dark" / name).write_bytes(encoded(black, kind))
    found = data.load(str(image_folder))
    assert len(found.train_labels) + len(found.test_labels) == 62


def test_names_of_parts_in_capitals_and_a_part_alone(image_folder: Path, tmp_path: Path) -> None:
    both = tmp_path / "both"
    both.mkdir()
    (both / "Train").symlink_to(image_folder, target_is_directory=True)
    with pytest.raises(BadData, match="has a folder Train, but none called test or validation"):
        data.load(str(both))
    (both / "Test").symlink_to(image_folder, target_is_directory=True)
    assert len(data.load(str(both)).train_images) == 60


def test_grey_and_colour_in_different_parts_become_colour(tmp_path: Path) -> None:
    shades_as_parquet(tmp_path)
    cells = [{"bytes": png(np.full((8, 8, 3), 9, np.uint8))}]
    parquet(tmp_path / "plain" / "test-0.parquet", cells, [0], ("img", "label"))
    assert data.load(str(tmp_path)).image_shape == (8, 8, 3)


def test_of_several_test_parts_the_first_with_labels_is_taken(tmp_path: Path) -> None:
    shades_as_parquet(tmp_path)
    cells = [{"bytes": png(np.full((8, 8, 1), 9, np.uint8))}] * 3
    place = tmp_path / "plain"
    parquet(place / "validation-0.parquet", cells, [0, 1, 0], ("img", "label"))
    assert len(data.load(str(tmp_path)).test_images) == 6
    parquet(place / "test-0.parquet", cells, [-1, -1, -1], ("img", "label"))
    assert data.load(str(tmp_path)).test_labels.tolist() == [0, 1, 0]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_folder_that_may_not_be_read(image_folder: Path) -> None:
    (image_folder / "dark").chmod(0)
    with pytest.raises(BadData, match="dark cannot be read: Permission denied"):
        data.load(str(image_folder))


def test_a_path_of_an_unknown_user_is_no_dataset() -> None:
    with pytest.raises(BadData, match="there is no dataset '~nobody-here/x'"):
        data.load("~nobody-here/x")


def test_the_digest_sees_every_part() -> None:
    images = np.arange(32, dtype=np.uint8).reshape(2, 4, 4, 1)
    labels = np.array([0, 1], np.int32)
    plain = {
        "train_images": images,
        "train_labels": labels,
        "test_images": images,
        "test_labels": labels,
        "classes": ("a", "b"),
    }
    others = [{name: values[::-1]} for name, values in plain.items()]
    digests = {data.Dataset("x", **{**plain, **other}).digest for other in ({}, *others)}
    assert len(digests) == 6

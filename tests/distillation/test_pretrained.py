"""CLIP and DINOv2 against Hugging Face's transformers: hidden states and embeddings.

The dumps were made by ``make_dumps.py`` with torch; reading them needs neither. With torch and
transformers the slow test makes others, of another seed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("safetensors")

from safetensors.numpy import save_file

from grader.engine.reference import Solutions
from grader.problem import Edit
from solutions.distillation import pretrained
from solutions.distillation.dinov2 import without_layer_scale
from solutions.distillation.pictures import class_attention_map
from solutions.distillation.safetensors_file import PretrainedError, read
from solutions.distillation.teacher import (
    CLIP_MEAN,
    CLIP_STD,
    Preparation,
    clip_teacher,
    text_embedder,
)
from solutions.registers.capture import Rows, capture

DUMPS = Path(__file__).with_name("dumps")
TOLERANCE = 1e-5


def expected(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "expected.npz") as arrays:
        return dict(arrays)


def channels_last(pixels: np.ndarray) -> jax.Array:
    return jnp.asarray(pixels.transpose(0, 2, 3, 1))


def check_clip_vision(folder: Path) -> None:
    model, params = pretrained.clip_vision(read(folder))
    theirs = expected(folder)
    layers = capture(model, params, channels_last(theirs["pixels"]), Rows.of(9))
    np.testing.assert_allclose(layers.tokens, theirs["hidden_states"], atol=TOLERANCE)
    np.testing.assert_allclose(layers.attention, theirs["attentions"], atol=TOLERANCE)
    np.testing.assert_allclose(layers.outputs, theirs["image_embeds"], atol=TOLERANCE)


def check_dinov2(folder: Path) -> None:
    model, params = pretrained.dinov2_registers(read(folder))
    theirs = expected(folder)
    registers = model.num_registers
    images = channels_last(theirs["pixels"])
    layers = capture(model, params, images, Rows.of(9, num_registers=registers))
    # Theirs stand behind CLS, ours at the end.
    order = [0, *range(1 + registers, 10 + registers), *range(1, 1 + registers)]
    hidden = theirs["hidden_states"][:, :, order]
    np.testing.assert_allclose(layers.tokens, hidden, atol=TOLERANCE)
    cls, patches = layers.outputs
    np.testing.assert_allclose(cls, theirs["last_hidden_state"][:, 0], atol=TOLERANCE)
    last = theirs["last_hidden_state"][:, 1 + registers :]
    np.testing.assert_allclose(patches, last, atol=TOLERANCE)


def check_dinov2_of_another_size(folder: Path) -> None:
    model, params = pretrained.dinov2_registers(read(folder))
    theirs = expected(folder)
    image = channels_last(theirs["larger"])[0]
    cls, patches = jax.jit(model.apply)({"params": params}, image)
    last = theirs["larger_last_hidden_state"][0]
    np.testing.assert_allclose(cls, last[0], atol=TOLERANCE)
    np.testing.assert_allclose(patches, last[1 + model.num_registers :], atol=TOLERANCE)


CHECKS = (
    ("clip", check_clip_vision),
    ("dinov2", check_dinov2),
    ("dinov2", check_dinov2_of_another_size),
)


@pytest.mark.parametrize(("name", "check"), CHECKS)
def test_the_dumps_are_reproduced(name: str, check: Any) -> None:
    check(DUMPS / name)


@pytest.mark.slow
def test_other_random_models_of_transformers_are_reproduced(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    command = [sys.executable, "-m", "tests.distillation.make_dumps", str(tmp_path), "7"]
    subprocess.run(command, check=True, timeout=300)
    for name, check in CHECKS:
        check(tmp_path / name)
    check_text(tmp_path / "clip")


def check_text(folder: Path) -> None:
    theirs = expected(folder)
    ours = text_embedder(folder)(jnp.asarray(theirs["token_ids"]))
    np.testing.assert_allclose(ours, theirs["text_embeds"], atol=TOLERANCE)


def test_the_text_tower_gives_the_embeddings_of_the_dump() -> None:
    check_text(DUMPS / "clip")


def test_problem_47_is_dinov2_once_layer_scale_is_multiplied_in() -> None:
    """The reference of problem 47 itself, with its accepted variant: the exact GELU."""
    gelu = "y = nn.gelu(y)"
    edit = Edit(gelu, "y = nn.gelu(y, approximate=False)")
    reference = Solutions({41: [edit]}).module(47)
    model, params = pretrained.dinov2_registers(read(DUMPS / "dinov2"))
    theirs = expected(DUMPS / "dinov2")
    width = model.d_model
    folded = without_layer_scale(params)
    # A head that lets row 0 through.
    folded["head"] = {"kernel": np.eye(width, dtype=np.float32), "bias": np.zeros(width)}
    vit = reference.ViTRegisters(
        model.patch_size,
        width,
        model.num_heads,
        model.d_ff,
        model.num_layers,
        model.num_registers,
        num_classes=width,
    )
    image = channels_last(theirs["pixels"])[1]
    row_0, patches = jax.jit(vit.apply)({"params": folded}, image)
    np.testing.assert_allclose(row_0, theirs["last_hidden_state"][1, 0], atol=TOLERANCE)
    last = theirs["last_hidden_state"][1, 1 + model.num_registers :]
    np.testing.assert_allclose(patches, last, atol=TOLERANCE)


def test_a_clip_teacher_takes_images_from_0_to_1_of_any_size() -> None:
    teacher = clip_teacher(DUMPS / "clip")
    theirs = expected(DUMPS / "clip")
    assert teacher.grid == (3, 3)
    pixels = channels_last(theirs["pixels"])
    images = pixels * jnp.asarray(CLIP_STD) + jnp.asarray(CLIP_MEAN)
    np.testing.assert_allclose(teacher(images), theirs["image_embeds"], atol=TOLERANCE)
    assert teacher.module is not None
    layers = capture(teacher.module, teacher.params, teacher.prepare(images), Rows.of(9))
    looked = class_attention_map(layers.attention[-1, 0], layers.rows.patches, teacher.grid)
    shares = theirs["attentions"][-1, 0, :, 0, 1:].mean(axis=0)
    np.testing.assert_allclose(looked.ravel(), shares / shares.sum(), atol=TOLERANCE)
    grey = jnp.linspace(0, 1, 64).reshape(1, 8, 8, 1)
    assert teacher(grey).shape == (1, 10)


def test_preparation_repeats_grey_and_refuses_what_does_not_fit() -> None:
    prepare = Preparation((4, 4), CLIP_MEAN, CLIP_STD)
    prepared = prepare(jnp.full((2, 8, 8, 1), 0.5))
    want = (0.5 - np.array(CLIP_MEAN)) / np.array(CLIP_STD)
    np.testing.assert_allclose(prepared, np.broadcast_to(want, (2, 4, 4, 3)), rtol=1e-5)
    with pytest.raises(ValueError, match="2 channels; the teacher takes 3"):
        prepare(jnp.zeros((1, 8, 8, 2)))


def test_clip_refuses_an_image_of_another_size() -> None:
    model, params = pretrained.clip_vision(read(DUMPS / "clip"))
    with pytest.raises(ValueError, match="for 9 patches, the image has 16"):
        model.apply({"params": params}, jnp.zeros((16, 16, 3)))


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="10 tokens is too long: at most 9"):
        text_embedder(DUMPS / "clip")(jnp.zeros((1, 10), int))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(PretrainedError, match="neither a file, nor a folder, nor a repository"):
        read("nowhere")
    for name in ("a/b/c", "a/b@", "/a@refs/pr/66", "../a@main"):
        with pytest.raises(PretrainedError, match="neither a file, nor a folder, nor a repo"):
            read(name)
    with pytest.raises(PretrainedError, match=r"has no model\.safetensors"):
        read(tmp_path)
    with pytest.raises(PretrainedError, match=r"no tensor embeddings\.patch_embeddings"):
        pretrained.dinov2_registers(
            replace(read(DUMPS / "clip"), config={"num_attention_heads": 2})
        )
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(PretrainedError, match="cannot be read as safetensors"):
        read(tmp_path)


def test_dinov2_needs_its_configuration(tmp_path: Path) -> None:
    shutil.copy(DUMPS / "dinov2" / "model.safetensors", tmp_path)
    with pytest.raises(PretrainedError, match=r"needs its config\.json"):
        pretrained.dinov2_registers(read(tmp_path / "model.safetensors"))
    (tmp_path / "config.json").write_text(
        json.dumps({"num_attention_heads": 2, "use_swiglu_ffn": True})
    )
    with pytest.raises(PretrainedError, match="SwiGLU"):
        pretrained.dinov2_registers(read(tmp_path))


def test_an_unknown_activation_is_refused() -> None:
    checkpoint = replace(
        read(DUMPS / "clip"), config={"hidden_act": "relu", "num_attention_heads": 3}
    )
    with pytest.raises(PretrainedError, match="the activation relu is not known"):
        pretrained.clip_vision(checkpoint)


def test_without_a_configuration_heads_of_64_are_assumed(tmp_path: Path) -> None:
    shutil.copy(DUMPS / "clip" / "model.safetensors", tmp_path)
    with pytest.raises(PretrainedError, match="width of 18 does not split into 0 heads"):
        pretrained.clip_vision(read(tmp_path))


def test_a_vision_tower_on_its_own_with_its_flat_configuration(tmp_path: Path) -> None:
    """As ``CLIPVisionModelWithProjection`` is saved: its tensors only, ``vision_config`` alone."""
    whole = read(DUMPS / "clip")
    towers = ("vision_model.", "visual_projection.")
    vision = {name: whole[name] for name in whole.tensors if name.startswith(towers)}
    assert 0 < len(vision) < len(whole.tensors)
    save_file(vision, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(whole.config["vision_config"]))
    shutil.copy(DUMPS / "clip" / "expected.npz", tmp_path)
    check_clip_vision(tmp_path)
    with pytest.raises(PretrainedError, match="has no tensor text_model"):
        text_embedder(tmp_path)


class Hub:
    """Stands in for the hub: hands out the dump, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[tuple[str, str, str | None]] = []

    def __call__(self, repository: str, name: str, *, revision: str | None = None) -> str:
        self.asked.append((repository, name, revision))
        if self.error is not None:
            raise self.error
        return str(DUMPS / "clip" / name)


@pytest.mark.parametrize("revision", [None, "0123abc", "refs/pr/66"])
def test_a_repository_is_asked_for_weights_and_configuration(
    monkeypatch: pytest.MonkeyPatch, revision: str | None
) -> None:
    hub = Hub()
    monkeypatch.setattr(pytest.importorskip("huggingface_hub"), "hf_hub_download", hub)
    name = "openai/clip-vit-base-patch32"
    model, _ = pretrained.clip_vision(read(name if revision is None else f"{name}@{revision}"))
    assert (model.d_model, model.num_heads) == (18, 3)
    assert hub.asked == [(name, "model.safetensors", revision), (name, "config.json", revision)]


def test_failures_of_the_hub_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")
    missing = hub.errors.LocalEntryNotFoundError("Cannot find it\nand more")
    monkeypatch.setattr(hub, "hf_hub_download", Hub(missing))
    with pytest.raises(PretrainedError, match="name a revision that has them") as raised:
        read("openai/clip-vit-base-patch32")
    assert "\n" not in str(raised.value)
    monkeypatch.setattr(hub, "hf_hub_download", Hub(ConnectionError("no route")))
    with pytest.raises(PretrainedError, match=r"\(no route\): check path, name and network"):
        read("openai/clip-vit-base-patch32")

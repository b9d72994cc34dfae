"""Texts to search with, on a tokenizer small enough to check by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("safetensors")
pytest.importorskip("tokenizers")

import tokenizers

from solutions.distillation.queries import text_queries
from solutions.distillation.safetensors_file import PretrainedError, beside
from solutions.distillation.teacher import text_embedder
from solutions.training.data import BadData

CLIP = Path(__file__).with_name("dumps") / "clip"
START, END = ("<|startoftext|>", 21), ("<|endoftext|>", 22)


def folder(place: Path) -> Path:
    """The dump of CLIP with a tokenizer like CLIP's beside it; the text tower knows 23 tokens."""
    shutil.copytree(CLIP, place)
    vocabulary = {token: i for i, token in enumerate(["a", "b", "a</w>", "b</w>", "ab</w>"])}
    vocabulary |= dict([START, END])
    made = tokenizers.Tokenizer(
        tokenizers.models.BPE(
            vocab=vocabulary,
            merges=[("a", "b</w>")],
            unk_token=END[0],
            end_of_word_suffix="</w>",
        )
    )
    made.normalizer = tokenizers.normalizers.Lowercase()
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single=f"{START[0]} $A {END[0]}", special_tokens=[START, END]
    )
    made.save(str(place / "tokenizer.json"))
    return place


def test_a_text_becomes_a_query(tmp_path: Path) -> None:
    clip = folder(tmp_path / "clip")
    found = text_queries(str(clip), ["AB a", "b"])
    assert list(found) == ["AB a", "b"]
    wanted = text_embedder(clip)(np.array([[21, 4, 2, 22]]))
    np.testing.assert_allclose(found["AB a"], wanted[0], atol=1e-6)
    with pytest.raises(BadData, match="10 tokens is too long: at most 9"):
        text_queries(str(clip), ["a a a a a a a a"])


def test_what_is_no_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(PretrainedError, match=r"has no tokenizer\.json"):
        text_queries(str(CLIP), ["a"])
    with pytest.raises(PretrainedError, match=r"has no tokenizer\.json"):
        beside(CLIP / "model.safetensors", "tokenizer.json")
    clip = folder(tmp_path / "clip")
    (clip / "tokenizer.json").write_text("{}")
    with pytest.raises(PretrainedError, match="cannot be read as a tokenizer"):
        text_queries(str(clip), ["a"])

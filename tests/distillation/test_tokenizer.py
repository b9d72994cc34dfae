"""Texts to token ids, on a vocabulary small enough to do it by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("safetensors")

from solutions.distillation.queries import text_queries
from solutions.distillation.safetensors_file import PretrainedError, beside
from solutions.distillation.teacher import text_embedder
from solutions.distillation.tokenizer import read_tokenizer
from solutions.training.data import BadData

CLIP = Path(__file__).with_name("dumps") / "clip"
TOKENS = ["a", "b", "c", "a</w>", "b</w>", "c</w>", "ab", "ab</w>", "bc</w>", "abc</w>", "!</w>"]
TOKENS += ["'s</w>", "7</w>", "'", "s</w>", "Ã", "Ł", "¤</w>", "Ã¤</w>"]
MERGES = ["a b", "b c</w>", "a b</w>", "' s</w>", "Ã ¤</w>", "ab c</w>"]


def folder(place: Path, **changes: Any) -> Path:
    """The dump of CLIP with a tokenizer beside it; the text tower knows 23 tokens."""
    shutil.copytree(CLIP, place)
    vocabulary = {token: i for i, token in enumerate(TOKENS)}
    vocabulary |= {"<|startoftext|>": 21, "<|endoftext|>": 22}
    model = {"vocab": vocabulary, "merges": MERGES, "end_of_word_suffix": "</w>", **changes}
    (place / "tokenizer.json").write_text(json.dumps({"model": model}), encoding="utf-8")
    return place


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("a", ["a</w>"]),
        ("  A\n b ", ["a</w>", "b</w>"]),
        # "a b" goes first, so "b c</w>" finds no b any more.
        ("abc", ["abc</w>"]),
        ("bc", ["bc</w>"]),
        ("ab", ["ab</w>"]),
        # Both pairs at once: every place of the best pair.
        ("ababc", ["ab", "abc</w>"]),
        ("ab!77", ["ab</w>", "!</w>", "7</w>", "7</w>"]),
        ("a's", ["a</w>", "'s</w>"]),
        # Two bytes in UTF-8, each with a sign of its own; put together or not, it is one letter.
        ("Ä", ["Ã¤</w>"]),
        ("A\u0308", ["Ã¤</w>"]),
        ("", []),
    ],
)
def test_by_hand(text: str, tokens: list[str], tmp_path: Path) -> None:
    tokenizer = read_tokenizer(folder(tmp_path / "clip") / "tokenizer.json")
    assert tokenizer(text) == [21, *(TOKENS.index(token) for token in tokens), 22]
    pairs = [merge.split(" ") for merge in MERGES]
    newer = read_tokenizer(folder(tmp_path / "newer", merges=pairs) / "tokenizer.json")
    assert newer(text) == tokenizer(text)


def test_a_text_becomes_a_query(tmp_path: Path) -> None:
    clip = folder(tmp_path / "clip")
    found = text_queries(str(clip), ["abc a", "b"])
    assert list(found) == ["abc a", "b"]
    want = text_embedder(clip)(np.array([[21, TOKENS.index("abc</w>"), TOKENS.index("a</w>"), 22]]))
    np.testing.assert_allclose(found["abc a"], want[0], atol=1e-6)
    with pytest.raises(BadData, match="10 tokens is too long: at most 9"):
        text_queries(str(clip), ["a a a a a a a a"])


def test_what_is_no_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(PretrainedError, match=r"has no tokenizer\.json"):
        text_queries(str(CLIP), ["a"])
    with pytest.raises(PretrainedError, match=r"has no tokenizer\.json"):
        beside(CLIP / "model.safetensors", "tokenizer.json")
    with pytest.raises(PretrainedError, match="the tokenizer has no token 'x</w>'"):
        text_queries(str(folder(tmp_path / "clip")), ["x"])
    with pytest.raises(PretrainedError, match="is not CLIP's tokenizer"):
        text_queries(str(folder(tmp_path / "other", end_of_word_suffix=None)), ["a"])
    with pytest.raises(PretrainedError, match="cannot be read as a tokenizer"):
        text_queries(str(folder(tmp_path / "bad", merges=3)), ["a"])

"""CLIP's tokenizer, read from ``tokenizer.json``: byte pair encoding in a few lines.

Source: Sennrich et al. 2016, arXiv 1508.07909 (byte pair encoding); the words and bytes are cut as
in ``simple_tokenizer.py`` of OpenAI's CLIP. What counts as a letter is Python's to say here, the
Unicode tables' there; the two differ for a few signs such as ².
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from solutions.distillation.safetensors_file import PretrainedError

START, END = "<|startoftext|>", "<|endoftext|>"
_WORDS = re.compile(r"'(?:s|t|re|ve|m|ll|d)|[^\W\d_]+|\d|(?:[^\s\w]|_)+")
_LAST = "</w>"
"""Stands behind the last sign of a word."""


@dataclass(frozen=True)
class Tokenizer:
    """From a text to token ids.

    Attributes:
      vocabulary: tokens to ids.
      ranks: pairs of tokens that become one, the lowest first.

    """

    vocabulary: dict[str, int]
    ranks: dict[tuple[str, str], int]

    def __call__(self, text: str) -> list[int]:
        """Return the ids of a text between those of `START` and `END`.

        Raises:
          PretrainedError: the vocabulary has no token for a part of it.

        """
        plain = unicodedata.normalize("NFC", text).lower()
        parts = [part for word in _WORDS.findall(plain) for part in self._parts(word)]
        try:
            return [self.vocabulary[part] for part in (START, *parts, END)]
        except KeyError as error:
            raise PretrainedError(f"the tokenizer has no token {error.args[0]!r}") from None

    def _parts(self, word: str) -> list[str]:
        signs = [_SIGNS[byte] for byte in word.encode()]
        parts = [*signs[:-1], signs[-1] + _LAST]
        while len(parts) > 1:
            pairs = list(pairwise(parts))
            best = min(pairs, key=lambda pair: self.ranks.get(pair, len(self.ranks)))
            if best not in self.ranks:
                break
            merged: list[str] = []
            i = 0
            while i < len(parts):
                together = tuple(parts[i : i + 2]) == best
                merged.append("".join(best) if together else parts[i])
                i += 2 if together else 1
            parts = merged
        return parts


def read_tokenizer(path: Path) -> Tokenizer:
    """Read CLIP's ``tokenizer.json``.

    Raises:
      PretrainedError: it cannot be read, or is of another kind.

    """
    try:
        model = json.loads(path.read_text(encoding="utf-8"))["model"]
        # Written as "a b" by older versions, as ["a", "b"] by newer ones.
        merges = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]
        vocabulary = {str(token): int(number) for token, number in model["vocab"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PretrainedError(f"{path} cannot be read as a tokenizer: {str(error)[:150]}") from None
    if model.get("end_of_word_suffix") != _LAST or not {START, END} <= vocabulary.keys():
        raise PretrainedError(f"{path} is not CLIP's tokenizer")
    return Tokenizer(vocabulary, {pair: rank for rank, pair in enumerate(merges)})


def _visible() -> list[str]:
    """A sign for each byte: itself where it can be seen, else one from 256 on."""
    seen = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), 256)}
    hidden = [byte for byte in range(256) if byte not in seen]
    return [chr(byte if byte in seen else 256 + hidden.index(byte)) for byte in range(256)]


_SIGNS = _visible()

"""Embeddings to search with: from files, and kept in the folder of a distillation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float

from solutions.distillation.safetensors_file import INSTALL, PretrainedError, beside
from solutions.distillation.teacher import text_embedder
from solutions.training.data import BadData
from solutions.training.disk import write_whole

_KEPT = "queries.json"


def read_query(path: Path) -> Float[np.ndarray, " D"]:
    """The one embedding in a ``.npy`` file, such as CLIP's of a text (`text_embedder`).

    Raises:
      BadData: it cannot be read, or holds something else.

    """
    try:
        values = np.load(path, allow_pickle=False)
    except OSError as error:
        raise BadData(f"the query {path} cannot be read: {error.strerror or error}") from None
    except (ValueError, EOFError, BadZipFile):
        raise BadData(
            f"the query {path} cannot be read as .npy; write it with numpy.save(path, embedding)"
        ) from None
    if not isinstance(values, np.ndarray) or values.ndim != 1 or values.dtype.kind != "f":
        raise BadData(f"the query {path} must hold one array of floats of shape (D,)")
    if not (np.isfinite(values).all() and values.any()):
        raise BadData(f"the query {path} has no direction: it is all zeros, or not finite")
    return values


def read_queries(paths: Iterable[Path]) -> dict[str, Float[np.ndarray, " D"]]:
    """`read_query` for each file, by the name of the file without its ending.

    Raises:
      BadData: as for `read_query`, or two files have one name.

    """
    found: dict[str, Float[np.ndarray, " D"]] = {}
    for path in paths:
        if path.stem in found:
            raise BadData(f"two queries are called {path.stem}; rename one")
        found[path.stem] = read_query(path)
    return found


def text_queries(source: str, texts: Sequence[str]) -> dict[str, Float[np.ndarray, " D"]]:
    """CLIP's embeddings of texts, by the text.

    Args:
      source: see `solutions.distillation.safetensors_file.read`; its weights must have the text
        tower, and ``tokenizer.json`` must lie beside them.
      texts: such as "a photo of a seven".

    Raises:
      PretrainedError: tower or tokenizer are missing.
      BadData: a text is too long.

    """
    tokenize = _tokenizer(beside(source, "tokenizer.json"))
    embed = text_embedder(source)
    try:
        return {text: np.asarray(embed(np.array([tokenize(text)])))[0] for text in texts}
    except ValueError as error:
        if isinstance(error, PretrainedError):
            raise
        raise BadData(f"a text to search with: {error}") from None


def _tokenizer(path: Path) -> Callable[[str], list[int]]:
    """From a text to token ids, as the ``tokenizer.json`` of a model has it."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise PretrainedError(f"to read texts: {INSTALL}") from None
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise PretrainedError(f"{path} cannot be read as a tokenizer: {str(error)[:150]}") from None

    def tokenize(text: str) -> list[int]:
        ids: list[int] = tokenizer.encode(text).ids
        return ids

    return tokenize


def keep_queries(folder: Path, queries: Mapping[str, Float[np.ndarray, " D"]]) -> None:
    """Write ``queries.json``, so that a distillation that is resumed searches with them, too.

    Raises:
      CannotSave: it cannot be written.

    """
    told = {name: query.tolist() for name, query in queries.items()}
    write_whole(folder / _KEPT, json.dumps(told) + "\n")


def kept_queries(folder: Path) -> dict[str, Float[np.ndarray, " D"]]:
    """What `keep_queries` wrote; empty where it wrote nothing.

    Raises:
      BadData: the file is damaged.

    """
    try:
        told = json.loads((folder / _KEPT).read_text(encoding="utf-8"))
        return {name: np.array(query, float) for name, query in told.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise BadData(f"{folder / _KEPT} cannot be read: {str(error)[:150]}") from None


def check_query(name: str, query: Float[np.ndarray, " D"], length: int) -> None:
    """Whether a query can be compared with the teacher's embeddings.

    Raises:
      BadData: it is longer or shorter.

    """
    if len(query) != length:
        raise BadData(
            f"the query {name} has length {len(query)}; the teacher's embeddings have {length}"
        )

"""Read a pretrained model's files: a folder, a ``safetensors`` file, or the Hugging Face hub."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
INSTALL = "pip install -c constraints.txt -e '.[pretrained]'"
"""What brings the packages along that read published models."""


class PretrainedError(ValueError):
    """Pretrained weights cannot be had or do not fit; one line says why and what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a model and what its configuration says.

    Attributes:
      name: where it is from, for messages.
      tensors: float32 arrays by their names in the file.
      config: the content of ``config.json``; empty where there is none.

    """

    name: str
    tensors: Mapping[str, np.ndarray]
    config: Mapping[str, Any]

    def __getitem__(self, name: str) -> np.ndarray:
        """One tensor.

        Raises:
          PretrainedError: there is none of this name.

        """
        if name not in self.tensors:
            raise PretrainedError(f"{self.name} has no tensor {name}: is it the right model?")
        return self.tensors[name]

    def count(self, prefix: str) -> int:
        """How many numbered parts there are: ``prefix.0.…``, ``prefix.1.…``, …"""
        parts = {n[len(prefix) + 1 :].split(".")[0] for n in self.tensors if n.startswith(prefix)}
        if not parts:
            raise PretrainedError(
                f"{self.name} has no tensors {prefix}.0.…: is it the right model?"
            )
        return len(parts)


def read(source: str | Path) -> Checkpoint:
    """Read a model.

    Args:
      source: a ``safetensors`` file (with a ``config.json`` beside it or not), a folder with
        ``model.safetensors``, or a repository of the Hugging Face hub: ``owner/name``, or
        ``owner/name@revision`` for another revision than ``main``. The main revision may carry
        no such file, as that of ``openai/clip-vit-base-patch32``, whose weights are at
        ``openai/clip-vit-base-patch32@refs/pr/66``.

    Returns:
      The tensors as float32 and the configuration.

    Raises:
      PretrainedError: nothing there, no such file in the repository, no network, or the file
        cannot be read.

    """
    weights, config = _files(str(source))
    return Checkpoint(str(source), _tensors(weights), _configuration(config))


def pinned(source: str | Path) -> str:
    """A source in words that mean the same from any folder and on any day.

    Args:
      source: as for `read`.

    Returns:
      A full path; for a repository of the hub its name with the commit that was fetched.

    Raises:
      PretrainedError: as for `read`.

    """
    if Path(source).exists():
        return str(Path(source).resolve())
    weights, _ = _files(str(source))
    # The hub's cache has a folder ``snapshots/COMMIT`` for each commit.
    if weights.parent.parent.name != "snapshots":
        return str(source)
    return f"{str(source).partition('@')[0]}@{weights.parent.name}"


def beside(source: str | Path, name: str) -> Path:
    """Another file of a model, such as ``tokenizer.json``.

    Args:
      source: as for `read`.
      name: of the file, in the folder of the weights.

    Raises:
      PretrainedError: it is not there.

    """
    path = Path(source)
    if path.exists():
        found = path / name if path.is_dir() else path.with_name(name)
    elif _is_repository(str(source)):
        found = _download(str(source), (name,))[0]
    else:
        found = path / name
    if not found.exists():
        raise PretrainedError(f"{source} has no {name}")
    return found


def _files(source: str) -> tuple[Path, Path]:
    """Where weights and configuration lie; the latter need not be there."""
    path = Path(source)
    if path.is_dir():
        if not (path / WEIGHTS).exists():
            raise PretrainedError(f"{path} has no {WEIGHTS}")
        return path / WEIGHTS, path / CONFIG
    if path.exists():
        return path, path.with_name(CONFIG)
    if _is_repository(source):
        weights, config = _download(source, (WEIGHTS, CONFIG))
        return weights, config
    raise PretrainedError(
        f"{source} is neither a file, nor a folder, nor a repository of the form owner/name"
    )


def _is_repository(source: str) -> bool:
    repository, at, revision = source.partition("@")  # a revision may have slashes: refs/pr/66
    owner, slash, name = repository.partition("/")
    if not (owner and slash and name) or "/" in name or owner.startswith((".", "~")):
        return False
    # A slip of the pen in a path such as runs/… is nothing to ask the hub for.
    return bool(revision or not at) and not Path(owner).is_dir()


def _download(source: str, names: Sequence[str]) -> list[Path]:
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError
    except ImportError:
        raise PretrainedError(f"downloading {source} needs huggingface_hub: {INSTALL}") from None
    repository, _, revision = source.partition("@")
    try:
        return [
            Path(hf_hub_download(repository, name, revision=revision or None)) for name in names
        ]
    except EntryNotFoundError as error:
        # Also raised when nothing is cached and there is no network.
        raise PretrainedError(
            f"{' or '.join(names)} of {source} could not be found ({_first_line(error)}): name a "
            f"revision that has them, as owner/name@revision (openai/clip-vit-base-patch32 has "
            f"them @refs/pr/66), or give a path"
        ) from None
    except Exception as error:
        raise PretrainedError(
            f"{source} is not on this machine and could not be downloaded "
            f"({_first_line(error)}): check path, name and network"
        ) from None


def _tensors(path: Path) -> dict[str, np.ndarray]:
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError:
        raise PretrainedError(f"reading {path} needs safetensors: {INSTALL}") from None
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise PretrainedError(
            f"{path} cannot be read as safetensors ({_first_line(error)})"
        ) from None
    return {name: np.asarray(value, np.float32) for name, value in tensors.items()}


def _configuration(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PretrainedError(f"{path} is not JSON ({error})") from None
    if not isinstance(config, dict):
        raise PretrainedError(f"{path} is not a JSON object")
    return config


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

"""The whole examination of one ViT: what every instrument of this package says about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import numpy as np
from jaxtyping import Bool, Float, Int

from solutions.registers.boxes import Box, corloc, lost_box
from solutions.registers.capture import Layers, Rows, capture
from solutions.registers.class_attention import ClassAttention, class_attention
from solutions.registers.norms import (
    NormSummary,
    flagged_layers,
    high_norm,
    likeness_to_neighbours,
    neighbour_cosine,
    summarise,
    token_norms,
)
from solutions.registers.probes import (
    PositionScore,
    pixel_probe,
    position_probe,
    position_probes,
    single_token_probe,
)

LARGEST_SHARE = 0.02
"""How many of the patch tokens count as those with the largest norms."""

_POSITION_IMAGES = 40
"""Position probes have a class for each patch, and are slow to fit."""

_BIAS_QUANTILES = (0.3, 0.5, 0.7, 0.9)


@dataclass(frozen=True)
class Subject:
    """A model to examine.

    Attributes:
      name: what it is called, e.g. ``R = 4``.
      model, params: the module for one image, and its parameters.
      rows: which rows of its sequence are what.
      grid: rows and columns of patches.
      patch_size: in pixels.

    """

    name: str
    model: nn.Module
    params: Any
    rows: Rows
    grid: tuple[int, int]
    patch_size: int


@dataclass(frozen=True)
class Images:
    """What it is examined on; all as the model wants them (normalised).

    Attributes:
      train, train_labels: images (B, H, W, C) that probes are fitted to, and their classes.
      test, test_labels: others, on which everything is measured.
      canvases, boxes: images of a small thing on an empty ground, and where it is.
      other_canvases, other_boxes: more of them, to choose LOST's bias on.

    """

    train: Float[np.ndarray, "B H W C"]
    train_labels: Int[np.ndarray, " B"]
    test: Float[np.ndarray, "b H W C"]
    test_labels: Int[np.ndarray, " b"]
    canvases: Float[np.ndarray, "c H W C"]
    boxes: Sequence[Box]
    other_canvases: Float[np.ndarray, "c H W C"]
    other_boxes: Sequence[Box]


@dataclass(frozen=True)
class Probes:
    """Linear probes of one kind of patch tokens after the last block.

    Attributes:
      tokens: how many there are in the test images.
      position: see `position_probes`.
      pixels: see `pixel_probe`.
      label: see `single_token_probe`.

    """

    tokens: int
    position: PositionScore
    pixels: float
    label: float


@dataclass(frozen=True)
class Located:
    """LOST on the canvases, by layer.

    Attributes:
      plain: (L,), CorLoc with the keys of each layer.
      biased: (L,), CorLoc with the bias that was best on other canvases.
      bias: (L,), that bias.
      found: the boxes of the last layer, with its bias.

    """

    plain: Float[np.ndarray, " L"]
    biased: Float[np.ndarray, " L"]
    bias: Float[np.ndarray, " L"]
    found: tuple[Box, ...]


@dataclass(frozen=True)
class Study:
    """What was found.  Layers count from before the first block (0) to after the last (L).

    Attributes:
      name: of the subject.
      norms: (L + 1, b, N) of the patch tokens of the test images.
      summaries: of the norms, one for each layer.
      flagged: the layers with a high-norm token (`high_norm`), from 1: before the first block the
        norm is that of the pixels, and a bright patch on a dark ground is long.
      outliers: (b, N), the high-norm tokens after the last block.
      largest: (b, N), the tokens with the largest norms after the last block, whether or not
        they stick out.
      cosine: (b, N), likeness of each patch embedding to its neighbours.
      likeness: the correlation of that with the norms after the last block.
      attention: of CLS by layer and head; None without CLS.
      cls_maps: (L, b, H, N), the attention of CLS to each patch; None without CLS.
      probes: by kind of token: all, normal, high norm, largest.
      mean_patch: what `pixel_probe` would give for the mean patch: the number to compare with.
      by_layer: (L + 1, 3), error of the pixel probe, accuracy of the single-token probe and of
        the position probe on all patch tokens.
      located: LOST.

    """

    name: str
    norms: Float[np.ndarray, "L+1 b N"]
    summaries: tuple[NormSummary, ...]
    flagged: tuple[int, ...]
    outliers: Bool[np.ndarray, "b N"]
    largest: Bool[np.ndarray, "b N"]
    cosine: Float[np.ndarray, "b N"]
    likeness: float
    attention: ClassAttention | None
    cls_maps: Float[np.ndarray, "L b H N"] | None
    probes: Mapping[str, Probes]
    mean_patch: float
    by_layer: Float[np.ndarray, "L+1 3"]
    located: Located


def study_registers(subject: Subject, images: Images, cutoff: float | None = None) -> Study:
    """Examine one model with every instrument.

    Args:
      subject: the model.
      images: what to examine it on.
      cutoff: of `summarise`.

    """
    train, test = look(subject, images.train), look(subject, images.test)
    norms = token_norms(test.patch_tokens)
    outliers, largest = high_norm(norms[-1]), _largest(norms[-1])
    pixels = tuple(cut(part, subject.grid) for part in (images.train, images.test))
    kinds = {"all": None, "normal": ~outliers, "high norm": outliers, "largest": largest}
    labels = images.train_labels, images.test_labels
    train_norms = token_norms(train.patch_tokens[-1])
    train_kinds = {
        "all": None,
        "normal": ~high_norm(train_norms),
        "high norm": high_norm(train_norms),
        "largest": _largest(train_norms),
    }
    tokens = train.patch_tokens[-1], test.patch_tokens[-1]
    some = slice(0, _POSITION_IMAGES)
    positions = position_probes(tokens[0][some], tokens[1], subject.grid, kinds)
    probes = {
        kind: Probes(
            tokens=norms[-1].size if among is None else int(among.sum()),
            position=positions[kind],
            pixels=pixel_probe(tokens[0], pixels[0], tokens[1], pixels[1], among),
            label=single_token_probe(
                tokens[0],
                labels[0],
                tokens[1],
                labels[1],
                train_among=train_kinds[kind],
                test_among=among,
            ),
        )
        for kind, among in kinds.items()
    }
    by_layer = [
        (
            pixel_probe(a, pixels[0], b, pixels[1]),
            single_token_probe(a, labels[0], b, labels[1]),
            position_probe(a[some], b, subject.grid).accuracy,
        )
        for a, b in zip(train.patch_tokens[:-1], test.patch_tokens[:-1], strict=True)
    ]
    everywhere = probes["all"]
    by_layer.append((everywhere.pixels, everywhere.label, everywhere.position.accuracy))
    cosine = neighbour_cosine(test.embedded, subject.grid)
    cls, patches = test.rows.cls, test.rows.patches
    return Study(
        name=subject.name,
        norms=norms,
        summaries=tuple(summarise(layer, cutoff=cutoff) for layer in norms),
        flagged=flagged_blocks(norms),
        outliers=outliers,
        largest=largest,
        cosine=cosine,
        likeness=likeness_to_neighbours(cosine, norms[-1]),
        attention=None if cls is None else class_attention(test),
        cls_maps=None if cls is None else test.attention[:, :, :, cls, patches],
        probes=probes,
        mean_patch=float(np.linalg.norm(pixels[1] - pixels[0].mean(axis=(0, 1)), axis=-1).mean()),
        by_layer=np.array(by_layer),
        located=locate(subject, images),
    )


def locate(subject: Subject, images: Images, last_only: bool = False) -> Located:
    """Run LOST on the canvases with the keys of every layer, or of the last one.

    The bias is the negative of a quantile of the products of keys, or 0, whichever finds most
    on the other canvases. Darcet et al. choose it by hand for each model.
    """
    here, there = (
        look(subject, part).patch_keys for part in (images.canvases, images.other_canvases)
    )
    if last_only:
        here, there = here[-1:], there[-1:]
    plain, biased, chosen, found = [], [], [], ()
    for keys, other in zip(here, there, strict=True):
        products = np.einsum("bnd,bmd->bnm", other, other)
        candidates = [0.0, *(-float(np.quantile(products, q)) for q in _BIAS_QUANTILES)]
        scores = [corloc(_boxes(subject, other, b), images.other_boxes) for b in candidates]
        bias = candidates[int(np.argmax(scores))]
        found = _boxes(subject, keys, bias)
        plain.append(corloc(_boxes(subject, keys, 0.0), images.boxes))
        biased.append(corloc(found, images.boxes))
        chosen.append(bias)
    return Located(np.array(plain), np.array(biased), np.array(chosen), tuple(found))


def cut(
    images: Float[np.ndarray, "B H W C"], grid: tuple[int, int]
) -> Float[np.ndarray, "B N p*q*C"]:
    """The pixels of every patch of every image, row by row."""
    count, height, width, channels = images.shape
    p, q = height // grid[0], width // grid[1]
    parts = images.reshape(count, grid[0], p, grid[1], q, channels)
    return parts.transpose(0, 1, 3, 2, 4, 5).reshape(count, grid[0] * grid[1], -1)


def look(subject: Subject, images: Float[np.ndarray, "B H W C"]) -> Layers:
    """`capture` of a subject on images."""
    return capture(subject.model, subject.params, images, subject.rows)


def _boxes(subject: Subject, keys: Float[np.ndarray, "B N D"], bias: float) -> list[Box]:
    return [lost_box(one, subject.grid, subject.patch_size, bias=bias) for one in keys]


def flagged_blocks(norms: Float[np.ndarray, "L+1 b N"]) -> tuple[int, ...]:
    """See `Study.flagged`."""
    return tuple(layer + 1 for layer in flagged_layers(norms[1:]))


def _largest(norms: Float[np.ndarray, "b N"]) -> Bool[np.ndarray, "b N"]:
    count = max(1, round(LARGEST_SHARE * norms.size))
    chosen = np.zeros(norms.size, bool)
    chosen[np.argsort(-norms, axis=None, kind="stable")[:count]] = True
    return chosen.reshape(norms.shape)

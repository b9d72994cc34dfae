"""Pictures with Matplotlib of what the register lab measures, on axes that are given.

Several models go beside each other by calling a function once for each, with its label.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float

from solutions.registers.class_attention import ClassAttention
from solutions.registers.norms import NormSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from solutions.registers.boxes import Box


def show_norms(axes: Axes, summary: NormSummary, label: str = "") -> None:
    """Draw the histogram of one layer's norms; the share of tokens has a logarithmic axis."""
    shares = summary.counts / summary.counts.sum()
    axes.stairs(shares, summary.edges, label=label)
    axes.set_yscale("log")
    axes.set_xlabel("norm of a patch token")
    axes.set_ylabel("share of tokens")


def show_norms_by_layer(axes: Axes, norms: Float[np.ndarray, "L+1 B N"], label: str = "") -> None:
    """Draw median (line) and maximum (dots) of the norms, from before block 0 to the last."""
    layers = np.arange(len(norms))
    flat = norms.reshape(len(norms), -1)
    (line,) = axes.plot(layers, np.median(flat, axis=1), label=label)
    axes.plot(layers, flat.max(axis=1), "o", color=line.get_color())
    axes.set_xticks(layers)
    axes.set_xlabel("blocks passed")
    axes.set_ylabel("norm: median, maximum")


def show_neighbour_cosine(
    axes: Axes,
    cosine: Float[np.ndarray, "B N"],
    norms: Float[np.ndarray, "B N"],
    outliers: Bool[np.ndarray, "B N"],
) -> None:
    """Draw each patch: likeness to its neighbours against final norm, outliers in colour."""
    axes.scatter(cosine[~outliers], norms[~outliers], s=4, color="0.6", label="normal")
    axes.scatter(cosine[outliers], norms[outliers], s=8, color="C3", label="high norm")
    axes.set_xlabel("cosine of the patch embedding with its neighbours")
    axes.set_ylabel("norm after the last block")


def show_class_attention(axes: Axes, found: ClassAttention, patches: int, label: str = "") -> None:
    """Draw the entropy of CLS attention by layer, a dot for each head, and its upper bound."""
    layers = np.arange(1, len(found.entropy) + 1)
    (line,) = axes.plot(layers, found.entropy.mean(axis=1), label=label)
    for layer, heads in zip(layers, found.entropy, strict=True):
        axes.plot(np.full(len(heads), layer), heads, ".", color=line.get_color())
    axes.axhline(np.log(patches), color="0.8", linestyle=":")
    axes.set_xticks(layers)
    axes.set_xlabel("block")
    axes.set_ylabel("entropy of CLS attention (nats)")


def show_box(axes: Axes, box: Box, color: str, label: str = "") -> None:
    """Draw the outline of a box over an image."""
    from matplotlib.patches import Rectangle

    top, left, bottom, right = box
    corner = (left - 0.5, top - 0.5)
    axes.add_patch(
        Rectangle(corner, right - left, bottom - top, fill=False, edgecolor=color, label=label)
    )


def show_class_maximum(axes: Axes, found: ClassAttention) -> None:
    """Draw the largest share of CLS attention that one patch has, by layer, a dot for each head."""
    layers = np.arange(1, len(found.maximum) + 1)
    (line,) = axes.plot(layers, found.maximum.mean(axis=1))
    for layer, heads in zip(layers, found.maximum, strict=True):
        axes.plot(np.full(len(heads), layer), heads, ".", color=line.get_color())
    axes.set_xticks(layers)
    axes.set_xlabel("block")
    axes.set_ylabel("largest share of one patch")

"""The short examination of one ViT, for many checkpoints of one training."""

from __future__ import annotations

from dataclasses import dataclass

from solutions.registers.class_attention import class_attention
from solutions.registers.norms import (
    likeness_to_neighbours,
    neighbour_cosine,
    summarise,
    token_norms,
)
from solutions.registers.probes import pixel_probe, single_token_probe
from solutions.registers.study import Images, Subject, cut, flagged_blocks, locate, look


@dataclass(frozen=True)
class Moment:
    """A model at one step of its training, in a few numbers after the last block.

    The position probe is left out: it takes as long as all of these together.

    Attributes:
      step: of the training.
      median, max_over_median, share_above_mad, share_above_cutoff: of the norms, see
        `NormSummary`.
      flagged: the blocks after which there is a high-norm token, see `Study`.
      likeness: see `likeness_to_neighbours`.
      entropy, maximum: of the CLS attention of the last block, means over heads; NaN without CLS.
      pixels, label: `pixel_probe` and `single_token_probe` on all patch tokens.
      corloc: LOST with the keys of the last layer, bias chosen on other canvases.

    """

    step: int
    median: float
    max_over_median: float
    share_above_mad: float
    share_above_cutoff: float | None
    flagged: tuple[int, ...]
    likeness: float
    entropy: float
    maximum: float
    pixels: float
    label: float
    corloc: float


def moment(step: int, subject: Subject, images: Images, cutoff: float | None = None) -> Moment:
    """Examine one checkpoint.

    Args:
      step: of the training.
      subject: the model at that step.
      images: what to examine it on.
      cutoff: of `summarise`.

    """
    train, test = look(subject, images.train), look(subject, images.test)
    norms = token_norms(test.patch_tokens)
    last = summarise(norms[-1], cutoff=cutoff)
    seen = None if test.rows.cls is None else class_attention(test)
    pixels = [cut(part, subject.grid) for part in (images.train, images.test)]
    tokens = train.patch_tokens[-1], test.patch_tokens[-1]
    return Moment(
        step=step,
        median=last.median,
        max_over_median=last.max_over_median,
        share_above_mad=last.share_above_mad,
        share_above_cutoff=last.share_above_cutoff,
        flagged=flagged_blocks(norms),
        likeness=likeness_to_neighbours(neighbour_cosine(test.embedded, subject.grid), norms[-1]),
        entropy=float("nan") if seen is None else float(seen.entropy[-1].mean()),
        maximum=float("nan") if seen is None else float(seen.maximum[-1].mean()),
        pixels=pixel_probe(tokens[0], pixels[0], tokens[1], pixels[1]),
        label=single_token_probe(tokens[0], images.train_labels, tokens[1], images.test_labels),
        corloc=float(locate(subject, images, last_only=True).biased[-1]),
    )

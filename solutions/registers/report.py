"""The register lab's page: models beside each other, and what was found, or that nothing was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from solutions import page
from solutions.registers import panels
from solutions.registers.norms import MAD_FACTOR, RATIO, high_norm
from solutions.registers.panels import Examined
from solutions.registers.study import LARGEST_SHARE
from solutions.training.disk import write_whole


def write(
    folder: Path, models: Sequence[Examined], planted: Examined, clean: Examined, command: str
) -> Path:
    """Write ``report.html``.

    Args:
      folder: where.
      models: the models, the one with fewest registers first. The pictures show the first and
        the last beside each other, tables and curves show all.
      planted: a model made to have high-norm tokens, from ``clean``.
      clean: the model that it was made of.
      command: what was typed.

    Raises:
      CannotSave: it cannot be written.

    """
    pair = [models[0]] if len(models) == 1 else [models[0], models[-1]]
    parts = [
        page.heading("Registers: what becomes of the patch tokens"),
        page.command(command),
        *map(page.note, findings(models, planted)),
        *_overview([*models, planted]),
        *panels.norm_maps(pair, planted),
        *panels.norms(pair),
        *panels.neighbours(pair),
        *panels.attention(pair),
        *panels.heads(pair),
        *_probes([*models, planted]),
        *panels.layers(models),
        *panels.boxes(pair),
        *panels.training(models),
        *panels.planted(planted, clean),
    ]
    path = folder / "report.html"
    write_whole(path, page.page(folder.name, parts))
    return path


def findings(models: Sequence[Examined], planted: Examined) -> list[str]:
    """What was found, in sentences that follow from the numbers; a null result is said.

    Args:
      models: as they were trained.
      planted: one of them with planted tokens, see `solutions.registers.lab.planted_in`.

    Raises:
      ValueError: nothing was planted in ``planted``.

    """
    limit = f"above median + {MAD_FACTOR:g} MAD and {RATIO:g} times the median"
    lines = []
    for one in models:
        study, last = one.study, one.study.summaries[-1]
        largest = f"the largest norm is {last.max_over_median:.2f} times the median"
        if study.flagged:
            where = ", ".join(map(str, study.flagged))
            lines.append(
                f"{study.name}: high-norm patch tokens after block {where}; after the last, "
                f"{study.outliers.mean():.2%} of the tokens, {largest}."
            )
        else:
            lines.append(
                f"{study.name}: no high-norm patch token ({limit}) after any block; after the "
                f"last, {largest}."
            )
    if not any(one.study.flagged for one in models):
        lines.append(
            "So there is nothing here for registers to remove: a null result. Darcet et al. "
            "(arXiv 2309.16588) report the artefacts for large models that were trained for long."
        )
    elif not models[0].study.flagged or models[-1].study.flagged:
        lines.append("So these models do not show that registers remove high-norm tokens.")
    lines.append(f"Planted high-norm tokens ({planted.study.name}) {_found(planted)}.")
    return lines


def _found(planted: Examined) -> str:
    """Whether the planted tokens themselves are flagged, where they were planted."""
    made = planted.planted
    if made is None:
        raise ValueError(f"nothing was planted in {planted.study.name}; see planted_in")
    flagged = high_norm(planted.study.norms[made.layer])
    found, count = int((flagged & made.tokens).sum()), int(made.tokens.sum())
    others = int((flagged & ~made.tokens).sum())
    told = f"{found} of {count} after block {made.layer}, and {others} others"
    if made.layer not in planted.study.flagged or found < count:
        return f"are NOT all flagged ({told}), so do not trust the rest"
    return f"are flagged ({told})"


def _overview(models: Sequence[Examined]) -> list[str]:
    rows = []
    for one in models:
        study, last = one.study, one.study.summaries[-1]
        seen = study.attention
        rows.append(
            (
                study.name,
                _number(one.accuracy, ".2%"),
                f"{last.median:.2f}",
                f"{last.max_over_median:.2f}",
                f"{last.share_above_mad:.2%}",
                *([] if last.share_above_cutoff is None else [f"{last.share_above_cutoff:.2%}"]),
                f"{study.outliers.mean():.2%}",
                ", ".join(map(str, study.flagged)) or "none",
                "–" if seen is None else f"{seen.entropy[-1].mean():.2f}",
                "–" if seen is None else f"{seen.on_registers[-1].mean():.1%}",
                f"{study.located.biased[-1]:.0%}",
            )
        )
    patches = models[0].study.norms.shape[-1]
    cutoff = models[0].study.summaries[-1].cutoff
    header = (
        *("", "test accuracy", "median norm", "max / median", f"> median + {MAD_FACTOR:g} MAD"),
        *([] if cutoff is None else [f"> {cutoff:g}"]),
        *("high norm", "flagged layers", "CLS entropy", "CLS on registers", "CorLoc"),
    )
    return [
        page.section(
            "All models",
            "after the last block, on test images; entropy in nats, mean over heads (at most "
            f"{math.log(patches):.2f}); CorLoc with the keys of the last block",
        ),
        page.table(rows, header),
    ]


def _probes(models: Sequence[Examined]) -> list[str]:
    rows = []
    for one in models:
        for kind, found in one.study.probes.items():
            rows.append(
                (
                    f"{one.study.name}, {kind}",
                    found.tokens,
                    _number(found.position.accuracy, ".1%"),
                    _number(found.position.distance, ".2f"),
                    _number(found.pixels, ".2f"),
                    _number(found.label, ".1%"),
                )
            )
    patches = models[0].study.norms.shape[-1]
    return [
        page.section(
            "What can be read from a token",
            "linear probes after the last block. “Largest” are the "
            f"{LARGEST_SHARE:.0%} of tokens with the largest norms, whether or not they stick out; "
            f"– is said of kinds that do not occur. Position by chance {1 / patches:.1%}; pixels "
            f"of the mean patch {models[0].study.mean_patch:.2f}",
        ),
        page.table(
            rows,
            ("", "tokens", "position named", "off by (patches)", "pixel error", "class from one"),
        ),
    ]


def _number(value: float, form: str) -> str:
    return "–" if math.isnan(value) else format(value, form)

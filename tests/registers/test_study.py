"""The whole examination and the short one on one tiny model: they agree, and JSON holds both."""

from __future__ import annotations

import json

import numpy as np
import pytest

from grader import use
from solutions.registers.canvas import paste
from solutions.registers.capture import Rows
from solutions.registers.moments import Moment, moment
from solutions.registers.panels import Examined
from solutions.registers.record import as_json
from solutions.registers.study import Images, Study, Subject, study_registers
from tests.random_params import random_params

CUTOFF = 6.0


def tiny_images() -> Images:
    generator = np.random.default_rng(0)
    shown = generator.random((16, 8, 12, 1), np.float32)
    labels = np.arange(16) % 2
    squares = np.ones((6, 3, 3, 1), np.float32)
    here, there = (paste(squares, (8, 12), seed, 0.1) for seed in (1, 2))
    return Images(shown[:10], labels[:10], shown[10:], labels[10:], *here, *there)


@pytest.fixture(scope="module")
def examined() -> Examined:
    images = tiny_images()
    model = use(47).ViTRegisters(4, 12, 2, 8, 2, 1, 2)
    params = random_params(model, images.test[0])
    subject = Subject("R = 1", model, params, Rows.of(6, num_registers=1), (2, 3), 4)
    study = study_registers(subject, images, CUTOFF)
    moments = (moment(7, subject, images, CUTOFF),)
    return Examined(subject, study, images, moments, 0.5, ((0.0,), (1.0,)))


def test_the_short_examination_says_what_the_whole_one_says(examined: Examined) -> None:
    study: Study = examined.study
    short: Moment = examined.moments[0]
    last, seen = study.summaries[-1], study.attention
    assert seen is not None
    assert short.step == 7 and short.flagged == study.flagged
    want = {
        "median": last.median,
        "max_over_median": last.max_over_median,
        "share_above_mad": last.share_above_mad,
        "share_above_cutoff": (study.norms[-1] > CUTOFF).mean(),
        "likeness": np.corrcoef(study.cosine.ravel(), study.norms[-1].ravel())[0, 1],
        "entropy": seen.entropy[-1].mean(),
        "maximum": seen.maximum[-1].mean(),
        "pixels": study.by_layer[-1, 0],
        "label": study.by_layer[-1, 1],
        "corloc": study.located.biased[-1],
    }
    for name, value in want.items():
        assert getattr(short, name) == pytest.approx(float(value), rel=1e-4), name


def test_layers_end_with_what_the_table_says(examined: Examined) -> None:
    study = examined.study
    assert study.by_layer.shape == (3, 3)
    everywhere = study.probes["all"]
    assert study.by_layer[-1].tolist() == [
        everywhere.pixels,
        everywhere.label,
        everywhere.position.accuracy,
    ]
    # Before the blocks a random model's tokens hold pixels and position, nearly untouched.
    assert study.by_layer[0, 2] >= study.by_layer[-1, 2]


def test_json_holds_every_number_and_nothing_that_is_none(examined: Examined) -> None:
    told = json.loads(json.dumps(as_json(examined), allow_nan=False))
    layers = told["norms"]
    assert [one["cutoff"] for one in layers] == [CUTOFF] * 3
    shares = (examined.study.norms > CUTOFF).mean(axis=(1, 2))
    assert [one["share_above_cutoff"] for one in layers] == pytest.approx(shares.tolist())
    assert 0 < shares[-1] < 1
    assert told["probes"]["high norm"]["pixel_error"] is None
    assert told["by_layer"]["tokens"] == "all"
    assert told["neighbour_cosine"] == pytest.approx(examined.study.cosine.mean())
    (one,) = told["training"]
    assert (one["step"], one["flagged_layers"]) == (7, [])
    assert one["single_token_accuracy"] == told["probes"]["all"]["single_token_accuracy"]
    assert one["neighbour_cosine_and_norm"] == pytest.approx(told["neighbour_cosine_and_norm"])

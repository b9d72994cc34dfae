"""``distill`` and ``registers`` as a user meets them: real processes, real folders."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("matplotlib")

from grader.catalogue import ROOT
from solutions.distillation import distill, folder
from solutions.distillation.losses import normalized_l1
from solutions.distillation.queries import kept_queries
from solutions.distillation.run import teacher_embeddings
from solutions.distillation.task import student_of
from solutions.distillation.views import teacher_maps
from tests.conftest import run_command
from tests.distillation.test_tokenizer import folder as clip_with_tokenizer
from tests.training.conftest import said

Command = Callable[..., subprocess.CompletedProcess[str]]
TINY_STUDENT = tuple(
    word
    for change in ("epochs=2", "eval_every=1", "depth=1", "heads=2", "patch_size=4")
    for word in ("--set", change)
)
TINY_TEACHER = tuple(
    word
    for change in ("width=8", "heads=2", "depth=1", "mlp=8", "epochs=1", "patch_size=4")
    for word in ("--set-teacher", change)
)


def run(*words: str) -> tuple[str, float]:
    """What a command prints, and how long it takes; it must end well."""
    began = time.perf_counter()
    done = run_command(*words, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, time.perf_counter() - began


def pictures(page: Path) -> int:
    text = page.read_text(encoding="utf-8")
    assert "src='http" not in text and "<script" not in text
    return text.count("data:image/png;base64,")


def class_folders(folder: Path) -> Path:
    """A dataset of one's own: three shades of noise, a folder for each."""
    generator = np.random.default_rng(0)
    for part, count in (("train", 12), ("test", 5)):
        for shade, name in enumerate(("dark", "grey", "light")):
            place = folder / part / name
            place.mkdir(parents=True)
            for i in range(count):
                pixels = 80 * shade + generator.integers(0, 60, (8, 8))
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def distillation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of the command, on a dataset of one's own."""
    pytest.importorskip("safetensors")
    out = tmp_path_factory.mktemp("distillation") / "run"
    query = out.with_name("waves.npy")
    np.save(query, np.sin(np.arange(10.0)))
    data = class_folders(out.with_name("shades"))
    clip = clip_with_tokenizer(out.with_name("clip"))
    words = ("distill", "--teacher", str(clip), "--query", str(query), "--out", str(out))
    words += ("--query-text", "ab a", "--data", str(data), "--neighbours-only", "--no-same-norm")
    said, _ = run(*words, *TINY_STUDENT, "--set", "batch_size=6")
    assert "cosine with the teacher" in said
    return out


@pytest.mark.slow
def test_a_distillation_from_clip_has_metrics_and_a_page(distillation: Path) -> None:
    lines = [json.loads(text) for text in (distillation / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert lines[1]["train_loss"] < lines[0]["train_loss"]
    numbers = json.loads((distillation / "comparison.json").read_text())
    assert numbers["cosine"] == pytest.approx(lines[1]["test_cosine"], abs=1e-3)
    page = (distillation / "report.html").read_text(encoding="utf-8")
    assert pictures(distillation / "report.html") == 4
    assert f"{numbers['student']['parameters']:,}" in page
    for words in (
        "waves",
        "ab a",
        "same nearest neighbour",
        "linear probe",
        "shared among 10 nearest",
    ):
        assert words in page


@pytest.mark.slow
def test_what_was_asked_for_is_what_was_distilled(distillation: Path) -> None:
    """Flags, data, teacher and queries, as a resumed run will find them."""
    asked = folder.read(distillation).asked
    assert asked.neighbours_only and not asked.same_norm
    assert asked.recipe.data == str(distillation.with_name("shades"))
    assert asked.teacher == str(distillation.with_name("clip")) and asked.teacher_print is not None
    kept = kept_queries(distillation)
    np.testing.assert_array_equal(kept["waves"], np.sin(np.arange(10.0)))
    assert kept["ab a"].shape == (10,)
    numbers = json.loads((distillation / "comparison.json").read_text())
    assert numbers["test_images"] == 15 and numbers["probe_images"] == 36
    # Without "same norm" there is no learned length: the student is what the flags say.
    student = student_of(asked.sized(10))
    shapes = jax.eval_shape(student.init, jax.random.key(0), np.zeros((8, 8, 1), np.float32))
    sizes = [leaf.size for leaf in jax.tree.leaves(shapes["params"])]
    assert numbers["student"]["parameters"] == sum(sizes) and "scale" not in shapes["params"]


@pytest.mark.slow
def test_the_register_lab_trains_examines_and_claims_nothing_it_did_not_find(
    tmp_path: Path, command: Command
) -> None:
    changes = ("epochs=2", "checkpoint_every=1", "width=8", "heads=2", "depth=1", "mlp=8")
    said, _ = run(
        *("registers", "--counts", "1", "--cutoff", "2.5", "--out", str(tmp_path)),
        *(word for change in (*changes, "patch_size=4") for word in ("--set", change)),
    )
    study = json.loads((tmp_path / "study.json").read_text())
    clean, planted = study["R = 1"], study["R = 1, planted"]
    assert planted["flagged_layers"] == [1]
    assert "Planted high-norm tokens (R = 1, planted) are flagged" in said
    null = "So there is nothing here for registers to remove: a null result" in said
    assert null is (not clean["flagged_layers"])
    assert 0.005 < planted["high_norm_share"] < 0.05
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert pictures(tmp_path / "report.html") == 10
    assert "This was made, not found." in page
    assert [one["cutoff"] for one in clean["norms"]] == [2.5, 2.5]
    assert "<th>&gt; 2.5</th>" in page and f"{clean['norms'][1]['share_above_cutoff']:.2%}" in page
    assert len(clean["training"]) == 2 and not planted["training"]
    for kind in ("all", "normal", "high norm", "largest"):
        assert f"R = 1, {kind}" in page
    # Other options are refused, and what is there stays as it was.
    told = (tmp_path / "r1/run.json").read_text()
    for other in (("--set", "epochs=3"), ("--seed", "1")):
        words = ("registers", "--counts", "1", "--out", str(tmp_path), *other)
        refused = command(*words)
        assert refused.returncode == 2 and "choose another folder" in refused.stderr
    assert (tmp_path / "r1/run.json").read_text() == told


def test_bad_usage_is_one_clear_line(command: Command) -> None:
    done = command("distill", "--teacher", "nowhere")
    assert done.returncode == 2
    assert "neither a file, nor a folder, nor a repository" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("distill", "--loss", "l2"), "the loss is 'l2'; it may be l1, cosine"),
        (("distill", "--set", "patch_size=3"), "patch_size is 3; it must divide the image"),
        (("distill", "--set", "batch_size=5000"), "batch_size is 5000, but there are only 1438"),
        (("distill", "--set-teacher", "batch_size=5000"), "batch_size is 5000, but there are"),
        pytest.param(
            ("registers", "--set", "batch_size=5000", "--out", "NEW"),
            "batch_size is 5000, but",
            marks=pytest.mark.slow,  # draws its images first
        ),
        (("distill", "--set", "mixup=1"), "a distillation has no mixup"),
        (("distill", "--set", "start=mimetic"), "starts as the problems do"),
        (("distill", "--resume", "tests", "--loss", "l1"), "--resume goes on with a run as it was"),
        (("distill", "--resume", "tests"), "tests holds no distillation"),
        (("distill", "--query", "README.md"), "the query README.md cannot be read as .npy"),
        (("distill", "--query-text", "a"), "--query-text needs CLIP as the teacher"),
        (("distill", "--set-teacher", "data=mnist"), "data of the teacher cannot be set"),
        (("registers", "tests"), "tests holds no run"),
        (("registers", "--counts", "a"), "--counts a: say numbers with commas"),
        (("distill", "--out", "README.md"), "--out README.md is a file; a run needs a folder"),
        (("registers", "--out", "RUN"), "RUN holds a run already; another --out"),
        (("distill", "--out", "PAGE"), "PAGE holds report.html of something else"),
    ],
)
def test_more_bad_usage(
    words: tuple[str, ...], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for made, name in (("RUN", "run.json"), ("PAGE", "report.html")):
        (tmp_path / made).mkdir()
        (tmp_path / made / name).touch()
    there = [str(tmp_path / word) if word in ("RUN", "PAGE", "NEW") else word for word in words]
    code, out, error = said(capsys, *there)
    assert (code, out) == (2, "")
    assert says in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("lab", ["distill", "registers"])
def test_a_seed_too_large_for_jax_is_refused_before_anything_is_written(
    lab: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new"
    code, _, error = said(capsys, lab, "--seed", "5000000000", "--out", str(out))
    assert code == 2 and "less than or equal to 4294967295" in error
    assert not out.exists()


@pytest.mark.slow
def test_what_is_there_is_not_written_over(distillation: Path, command: Command) -> None:
    refused = command("distill", "--out", str(distillation))
    assert refused.returncode == 2 and f"--resume {distillation}" in refused.stderr


@pytest.mark.slow
def test_a_resumed_run_searches_with_the_same_queries(distillation: Path) -> None:
    (distillation / "report.html").unlink()
    distillation.with_name("waves.npy").unlink()
    said, _ = run("distill", "--resume", str(distillation))
    assert "resumed" in said
    assert "waves" in (distillation / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_finished_distillation_is_read_back_and_looked_into(distillation: Path) -> None:
    """Resumed at its end in this process: nothing is trained, all can be computed again."""
    old = folder.read(distillation)
    assert old.run.classes == ("dark", "grey", "light")
    distilled = distill(old.asked, out=distillation)
    assert [line["epoch"] for line in distilled.history] == [1, 2]
    images = distilled.data.test_images
    ours, theirs = distilled.embed(images), teacher_embeddings(distilled.teacher, images)
    loss = distilled.history[-1]["test_loss"]
    assert float(normalized_l1(ours, theirs)) == pytest.approx(loss, rel=1e-3)
    seen = teacher_maps(distilled.teacher, images[:3])
    assert seen is not None and seen.shape == (3, 3, 3)
    np.testing.assert_allclose(seen.sum(axis=(1, 2)), 1, atol=1e-5)


@pytest.mark.slow
def test_the_default_distillation_learns_its_teacher(tmp_path: Path) -> None:
    out = tmp_path / "run"
    said, _ = run("distill", "--out", str(out))
    found = re.search(r"cosine with the teacher (\d\.\d+)", said)
    assert found is not None and float(found[1]) > 0.9
    numbers = json.loads((out / "comparison.json").read_text())
    assert numbers["student"]["probe"] > numbers["teacher"]["probe"] - 0.05
    assert numbers["neighbours"] > 10 * numbers["chance"]
    # The teacher is a run of its own; another student learns from it, and is resumed.
    assert "right" in run("eval", str(out / "teacher"))[0]
    other = tmp_path / "other"
    words = ("distill", "--teacher", str(out / "teacher"), "--loss", "kl", "--out", str(other))
    run(*words, *TINY_STUDENT)
    assert "resumed" in run("distill", "--resume", str(other))[0]


@pytest.mark.slow
def test_an_interruption_while_the_teacher_is_trained_is_resumed(tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["distill", "--out", str(out), *TINY_STUDENT, *TINY_TEACHER]
    words += ["--set-teacher", "epochs=300", "--set-teacher", "checkpoint_every=20"]
    process = subprocess.Popen([sys.executable, "-m", "grader", *words], cwd=ROOT)
    while not list(out.glob("teacher/checkpoints/[0-9]*")):
        assert process.poll() is None
        time.sleep(0.2)
    process.terminate()
    assert process.wait(timeout=120) == 128 + 15
    assert not (out / "report.html").exists()
    said, _ = run("distill", "--resume", str(out))
    assert "resuming at step" in said
    assert pictures(out / "report.html") == 4


@pytest.mark.slow
def test_the_default_register_lab_and_one_on_given_runs(tmp_path: Path) -> None:
    out = tmp_path / "lab"
    said, _ = run("registers", "--out", str(out))
    assert "Planted high-norm tokens (R = 0, planted) are flagged" in said
    study = json.loads((out / "study.json").read_text())
    assert list(study) == ["R = 0", "R = 1", "R = 4", "R = 0, planted"]
    for name, found in study.items():
        assert name.endswith("planted") or found["probes"]["all"]["single_token_accuracy"] > 0.15
    again, _ = run("registers", str(out / "r4"), str(out / "r0"), "--out", str(tmp_path / "two"))
    assert list(json.loads((tmp_path / "two/study.json").read_text()))[:2] == ["R = 0", "R = 4"]
    assert "report:" in again

"""``use`` gives a student's own block once it has passed, and the report says whose it is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from grader.catalogue import ROOT
from tests.conftest import Grade


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A working copy of its own, as a student has one."""
    for folder in ("grader", "solutions", "problems"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def grade(copy: Path, target: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "grader", target, "--json"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    verdict: dict[str, Any] = json.loads(done.stdout)
    return verdict


def notes_about(number: int, verdict: dict[str, Any]) -> str:
    return " ".join(note for note in verdict["notes"] if f"use({number})" in note)


def test_the_reference_serves_until_the_own_answer_has_passed(copy: Path) -> None:
    shutil.copy(ROOT / "solutions/41_encoder_block.py", copy / "problems/41_encoder_block.py")
    verdict = grade(copy, "41")
    assert verdict["passed"]
    assert "the reference's" in notes_about(40, verdict)

    own = (ROOT / "solutions/40_self_attention.py").read_text()
    (copy / "problems/40_self_attention.py").write_text(own)
    assert grade(copy, "40")["passed"]
    verdict = grade(copy, "41")
    assert verdict["passed"]
    assert "your own" in notes_about(40, verdict)

    # Edited after it passed: it counts as not passed, so the reference steps in again.
    broken = own.replace("/ head_dim**0.5", "/ head_dim")
    (copy / "problems/40_self_attention.py").write_text(broken)
    verdict = grade(copy, "41")
    assert verdict["passed"]
    assert "has not passed" in notes_about(40, verdict)


def test_what_a_block_uses_itself_is_not_told(grade_text: Grade) -> None:
    text = (ROOT / "solutions/46_vit_cls.py").read_text()
    assert "use(40)" not in text
    verdict = grade_text(text, 46, cases=3, shapes=1)
    assert notes_about(41, verdict)
    assert not notes_about(40, verdict)


def test_an_own_answer_without_the_class_is_not_used(copy: Path) -> None:
    shutil.copy(ROOT / "solutions/41_encoder_block.py", copy / "problems/41_encoder_block.py")
    own = (ROOT / "solutions/40_self_attention.py").read_text()
    renamed = own.replace("SelfAttention", "MyAttention")
    (copy / "problems/40_self_attention.py").write_text(renamed)
    assert grade(copy, "40")["passed"]
    verdict = grade(copy, "41")
    assert verdict["passed"]
    assert "defines no SelfAttention" in notes_about(40, verdict)


def test_a_problem_that_contains_no_such_block_cannot_use_it(copy: Path) -> None:
    source = (ROOT / "solutions/38_patch_embed.py").read_text()
    source = source.replace(
        "class PatchEmbed", "from grader import use\nuse(46)\n\n\nclass PatchEmbed"
    )
    (copy / "problems/38_patch_embed.py").write_text(source)
    verdict = grade(copy, "38")
    assert not verdict["passed"]
    assert "use(46) is not available" in verdict["checks"][0]["message"]

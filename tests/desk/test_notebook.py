"""``%%grade`` in a real kernel, one that has used JAX already."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.catalogue import ROOT
from tests.desk.conftest import environment
from tests.desk.test_page import assert_harmless
from tests.desk.test_watch import gone

manager = pytest.importorskip("jupyter_client.manager")
pytest.importorskip("ipykernel")

Run = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def kernel(copy: Path) -> Iterator[Run]:
    started, client = manager.start_new_kernel(
        kernel_name="python3", cwd=str(copy), env=environment(copy, HOME=os.environ["HOME"])
    )

    def run(code: str) -> list[dict[str, Any]]:
        shown: list[dict[str, Any]] = []
        kinds = ("display_data", "execute_result", "error", "stream")

        def hook(message: dict[str, Any]) -> None:
            if message["msg_type"] in kinds:
                shown.append(message["content"])

        client.execute_interactive(code, output_hook=hook, timeout=90)
        return shown

    yield run
    client.stop_channels()
    started.shutdown_kernel()
    assert gone(copy) == []


def test_a_cell_is_graded_like_a_file(kernel: Run, copy: Path) -> None:
    assert kernel("%load_ext grader") == []
    assert kernel("import sys\nassert 'jax' not in sys.modules") == []  # loading is quick
    kernel("import jax.numpy as jnp\n(jnp.ones((3, 3)) @ jnp.ones((3, 3))).block_until_ready()")

    right = (ROOT / "solutions/46_vit_cls.py").read_text()
    (shown,) = kernel(f"%%grade 46\n{right}")
    html = assert_harmless(shown["data"]["text/html"])
    assert "Passed · score 1.00" in " ".join(html.text.split())
    assert "row 0 ✓" in html.text
    assert "Head 2: the same" in html.text
    assert html.elements.count("img") == 9
    assert "Passed" in shown["data"]["text/plain"]
    assert "\x1b" not in shown["data"]["text/plain"]

    wrong = (ROOT / "tests/answers/38_patch_embed/wrong/columns_first.py").read_text()
    (shown,) = kernel(f"%%grade 38 --seed 3\n{wrong}")
    html = assert_harmless(shown["data"]["text/html"])
    assert "Not passed" in html.text
    assert "seed 3" in html.text
    assert "What: " in html.text
    assert html.elements.count("svg") + html.elements.count("img") == 3

    # What another cell imported does not count, and the reader is told so.
    (shown,) = kernel(
        "%%grade 38\ndef patch_embed_forward(seed, image, patch_size, d_model):\n"
        "    return jnp.zeros(3)"
    )
    assert "NameError" in shown["data"]["text/html"]
    assert "graded on its own" in shown["data"]["text/html"]

    (shown,) = kernel("%%grade 99\nx = 1")
    assert "there is no problem 99" in shown["text"]
    assert "Traceback" not in shown["text"]
    assert kernel("%unload_ext grader") == []
    assert '"46"' in (copy / ".progress.json").read_text()


def test_what_is_no_answer_is_told_in_a_line(kernel: Run) -> None:
    kernel("%load_ext grader")
    for code, says in (
        ("%%grade 38\nx = 1\n%matplotlib inline", "line 3 is a Jupyter command, %matplotlib"),
        ("%%grade 38\n!ls it's", "line 2 is a Jupyter command, !ls it's: put it into a cell"),
        ("%%grade 38 --timeout 0\nx = 1", "--timeout is a number of seconds from 1 to 3600"),
        ("%%grade 38 --timeout nan\nx = 1", "--timeout is a number of seconds from 1 to 3600"),
        ("%%grade 38\n \n", "the cell is empty"),
    ):
        (shown,) = kernel(code)
        assert says in shown["text"]
        assert shown["text"].startswith("UsageError")
        assert len(shown["text"].splitlines()) == 1


def test_it_says_how_it_is_used_with_and_without_a_cell(kernel: Run) -> None:
    kernel("%load_ext grader")
    for code in ("%%grade -h", "%%grade --help\nx = 1", "%%grade 38 -h\n"):
        (shown,) = kernel(code)
        assert shown["name"] == "stdout"
        assert shown["text"].startswith("%%grade [--seed SEED] [--timeout TIMEOUT] problem")
    kernel("%unload_ext grader")
    (shown,) = kernel("%%grade -h")
    assert "%%grade" in shown["text"]
    assert "not found" in shown["text"]


def test_a_cell_is_given_the_time_that_is_asked_for(kernel: Run) -> None:
    kernel("%load_ext grader")
    (shown,) = kernel("%%grade 38 --timeout 2\nx = 1\nwhile True: pass")
    assert "took longer than 2 s" in shown["data"]["text/plain"]
    (shown,) = kernel("%%grade 38\nx = 1\ny = undefined")
    assert "line 3" in shown["data"]["text/plain"]  # as Jupyter counts, the first one included

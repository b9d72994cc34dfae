"""The verdict as a page: everything is there, and nothing of a submission becomes markup."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from grader import catalogue
from grader.catalogue import ROOT
from grader.pictures import Pictures
from grader.report.heat_map import signed_map
from grader.report.html_page import check_destination, fragment, page, write_page
from grader.verdict import Check, Verdict
from tests.desk.conftest import Typed

pytestmark = pytest.mark.xdist_group("page")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
EVIL = "<script>document.title='owned'</script><img src=x onerror=document.title='owned'>"
HOSTILE = f'''
import jax
import flax.linen as nn

print("{EVIL}")
print("</pre></main><h1>owned</h1>&lt;b&gt; {{{{ 7 * 7 }}}}")


class Model(nn.Module):
    d_model: int
    patch: int

    @nn.compact
    def __call__(self, image):
        w = self.param("{EVIL}", nn.initializers.normal(), (3, 5, 7))
        raise ValueError("{EVIL}" + str(w.shape))


def patch_embed_forward(seed, image, patch_size, d_model):
    model = Model(d_model, patch_size)
    return model.apply(model.init(jax.random.key(seed), image), image)
'''


class Reader(HTMLParser):
    """What a browser would find: elements, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def assert_harmless(text: str) -> Reader:
    found = Reader(text)
    assert "script" not in found.elements
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    outside = [v for n, v in found.attributes if n in ("src", "href", "action", "data")]
    assert all(value.startswith("data:image/png;base64,") for value in outside)
    return found


@pytest.fixture(scope="module")
def page_of_a_wrong_answer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    answer = "tests/answers/demo/46_last_row.py"
    command = [sys.executable, "-m", "grader", "report", answer, "--html", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "46_vit_cls not passed" in done.stdout
    assert [p.name for p in path.parent.iterdir()] == ["page.html"]
    return path


def test_the_page_of_a_wrong_answer_has_everything(page_of_a_wrong_answer: Path) -> None:
    found = assert_harmless(page_of_a_wrong_answer.read_text())
    for words in (
        "Not passed",
        "the last row is read instead of row 0",
        "row 0 ✗",
        "final LayerNorm ✓",
        "30 of 30 cases differ",
        "expected",
        "actual",
        "difference",
        "Attention on one input",
        "Head 2: the same",
        "python -m grader",
    ):
        assert words in found.text, words
    assert found.elements.count("svg") == 3
    assert found.elements.count("img") == 1 + 2 * 2 * 2  # the image; two heads, two sides, two maps


SHORT = Verdict("38_patch_embed", "first.py", (), 0)


def test_only_a_page_of_the_grader_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    problem = catalogue.problem(38)
    verdict = SHORT
    write_page(path, verdict, problem, Pictures())
    write_page(path, replace(verdict, file="second.py"), problem, Pictures())
    assert "second.py" in path.read_text()
    path.write_text("<p>my own notes</p>")
    with pytest.raises(FileExistsError, match="no page of the grader"):
        write_page(path, verdict, problem, Pictures())
    assert path.read_text() == "<p>my own notes</p>"
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]


def test_a_pipe_is_no_page_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no file that a page could be written to"):
        check_destination(tmp_path / "pipe")


def test_a_page_is_for_those_who_may_read_what_the_author_writes(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_page(tmp_path / "page.html", SHORT, catalogue.problem(38), Pictures())
    finally:
        os.umask(before)
    assert (tmp_path / "page.html").stat().st_mode & 0o777 == 0o600


def test_nothing_in_a_submission_becomes_markup(tmp_path: Path, typed: Typed) -> None:
    answer = tmp_path / "38_<b>.py"
    answer.write_text(HOSTILE)
    path = tmp_path / "page.html"
    done = typed("report", str(answer), "--html", str(path))
    assert done.returncode == 0, done.stderr
    found = assert_harmless(path.read_text())
    assert found.elements.count("h1") == 1
    assert "b" not in found.elements
    assert found.text.count("<script>document.title") >= 2  # told in the message and the prints
    assert "{{ 7 * 7 }}" in found.text
    if BROWSER is None:
        pytest.skip("no chromium here: the page was read, but not opened")
    dumped = in_browser("--dump-dom", path.as_uri())
    assert "<title>38 Patch embedding: not passed</title>" in dumped
    assert_harmless(dumped)


def test_every_field_of_a_verdict_is_escaped() -> None:
    evil = f"{EVIL}'\"&"
    verdict = Verdict(
        evil, evil, (Check(evil, evil, "failed", evil),), 0, notes=(evil,), printed=evil
    )
    problem = catalogue.problem(38)
    for text in (page(verdict, problem, Pictures()), fragment(verdict, problem, Pictures())):
        found = assert_harmless(text)
        assert found.text.count(evil) >= 4
        assert "img" not in found.elements


@pytest.mark.skipif(BROWSER is None, reason="no chromium here")
def test_a_browser_draws_it_in_light_and_dark(page_of_a_wrong_answer: Path, tmp_path: Path) -> None:
    drawn = []
    for preference in ("1", "0"):  # light, dark
        picture = tmp_path / f"{preference}.png"
        in_browser(
            f"--blink-settings=preferredColorScheme={preference}",
            "--window-size=900,1200",
            f"--screenshot={picture}",
            page_of_a_wrong_answer.as_uri(),
        )
        drawn.append(picture.read_bytes())
        assert drawn[-1].startswith(b"\x89PNG")
        assert len(drawn[-1]) > 20_000  # an empty page has 6,000
    assert drawn[0] != drawn[1]


def in_browser(*words: str) -> str:
    assert BROWSER is not None
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_numbers_fit_into_their_cells() -> None:
    values = np.array([[0.34774, -0.0402, 1408.4, -2456, 123456.7, -1.19e-5, 0.000123, -2e9]])
    shown = re.findall(r"<text[^>]*>([^<]*)</text>", signed_map(values, 1.0, ""))
    assert shown == ["0.348", "-0.0402", "1408", "-2456", "123457", "-1.2e-5", "1.2e-4", "-2e+09"]

"""Verdicts on files that are no honest answer, and on what a check must say in words."""

from __future__ import annotations

import time
from typing import Any

import pytest

from grader import catalogue
from tests.conftest import Grade, failed_checks, stalled

SOLUTION = catalogue.solution_path(38).read_text()
CALL = "    return model.apply(params, image)\n"


def message(verdict: dict[str, Any], id: str) -> str:
    return " ".join(c["message"] for c in verdict["checks"] if c["id"] == id)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (b"", "empty"),
        (b"   \n", "empty"),
        (b"\x00\x01\x02", "binary"),
        (b"# caf\xe9\n", "line 1 is not UTF-8 text"),
        (b"# -*- coding: foo-8 -*-\n", "its encoding is foo-8, which Python does not know"),
        (b"# coding: ascii\n'caf\xe9'\n", "line 2 is not ascii text"),
        (b"x" * 2_000_000, "bytes"),
        (b"def f(:\n", "SyntaxError"),
        (b"import nothing_of_that_name\n", "nothing_of_that_name"),
        (b"raise SystemExit(0)\n", "SystemExit"),
        (b"import os; os._exit(0)\n", "exited with code 0"),
        (b"import os, signal; os.kill(os.getpid(), signal.SIGSEGV)\n", "SIGSEGV"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_told_why(
    source: bytes, says: str, grade_text: Grade
) -> None:
    verdict = grade_text(source, 38)
    assert failed_checks(verdict) == ["reads"]
    assert says in message(verdict, "reads")
    assert verdict["score"] == 0.0


def test_a_missing_function_is_named_and_others_are_listed(grade_text: Grade) -> None:
    verdict = grade_text("def patch_embedding(image):\n    return image\n", 38)
    assert failed_checks(verdict) == ["contract"]
    assert "patch_embed_forward(seed, image, patch_size, d_model)" in message(verdict, "contract")
    assert "patch_embedding" in message(verdict, "contract")


def test_wrong_arguments_are_shown_beside_the_right_ones(grade_text: Grade) -> None:
    verdict = grade_text("def patch_embed_forward(image, seed):\n    return image\n", 38)
    assert failed_checks(verdict) == ["contract"]
    assert "got (image, seed)" in message(verdict, "contract")


def test_nothing_returned_is_told_as_such(grade_text: Grade) -> None:
    verdict = grade_text(SOLUTION.replace(CALL, "    model.apply(params, image)\n"), 38)
    assert failed_checks(verdict) == ["runs"]
    assert "return" in message(verdict, "runs")


def test_a_text_returned_is_no_array(grade_text: Grade) -> None:
    verdict = grade_text(SOLUTION.replace(CALL, '    return "tokens"\n'), 38)
    assert failed_checks(verdict) == ["runs"]
    assert "a str" in message(verdict, "runs")


def test_an_exception_is_told_with_the_line_and_the_shapes(grade_text: Grade) -> None:
    broken = SOLUTION.replace(CALL, "    return image @ image.reshape(-1, 7)\n")
    verdict = grade_text(broken, 38)
    assert failed_checks(verdict) == ["runs"]
    line = broken.splitlines().index("    return image @ image.reshape(-1, 7)") + 1
    assert f"line {line}: return image @ image.reshape(-1, 7)" in message(verdict, "runs")
    assert "image is (" in message(verdict, "runs")


def test_batch_statistics_are_turned_down_in_words(grade_text: Grade) -> None:
    source = SOLUTION.replace(
        'return checkpoint_name(grid.reshape(-1, self.d_model), "patches")',
        "return nn.BatchNorm(use_running_average=False)(grid.reshape(-1, self.d_model))",
    )
    source = source.replace(
        CALL, '    return model.apply(params, image, mutable=["batch_stats"])[0]\n'
    )
    verdict = grade_text(source, 38)
    assert failed_checks(verdict)[0] == "parameters"
    assert "batch_stats" in message(verdict, "parameters")


def test_nan_is_told_before_the_numbers(grade_text: Grade) -> None:
    verdict = grade_text(SOLUTION.replace(CALL, CALL.rstrip() + " * float('nan')\n"), 38)
    assert failed_checks(verdict)[0] == "finite"


def test_a_loop_without_end_has_a_verdict_in_time(grade_text: Grade) -> None:
    endless = SOLUTION.replace(
        CALL,
        "    while True:\n        try:\n            while True:\n                pass\n"
        "        except BaseException:\n            pass\n",
    )
    started, before = time.monotonic(), stalled()
    verdict = grade_text(endless, 38, timeout=3.0)
    assert time.monotonic() - started < 5.0 + 2 * (stalled() - before)
    assert not verdict["passed"]
    assert "too long" in str(verdict["checks"])


def test_a_constant_of_the_right_shape_does_not_pass(grade_text: Grade) -> None:
    guess = (
        "import jax.numpy as jnp\n"
        "def patch_embed_forward(seed, image, patch_size, d_model):\n"
        "    n = (image.shape[0] // patch_size) * (image.shape[1] // patch_size)\n"
        "    return jnp.zeros((n, d_model))\n"
    )
    verdict = grade_text(guess, 38)
    assert failed_checks(verdict)[0] == "parameters"
    assert "missing" in message(verdict, "parameters")


def test_weights_overwritten_after_init_do_not_pass(grade_text: Grade) -> None:
    source = SOLUTION.replace(CALL, "    params = jax.tree.map(lambda w: w * 0.5, params)\n" + CALL)
    verdict = grade_text(source, 38)
    assert failed_checks(verdict)[0] == "numbers"


def test_an_init_that_is_called_twice_is_fine(grade_text: Grade) -> None:
    source = SOLUTION.replace(
        CALL, "    shapes = jax.tree.map(jnp.shape, model.init(jax.random.key(1), image))\n" + CALL
    ).replace("import jax\n", "import jax\nimport jax.numpy as jnp\n")
    assert grade_text(source, 38)["passed"]


def test_prints_are_shown_and_do_not_disturb(grade_text: Grade) -> None:
    source = SOLUTION.replace(CALL, '    print("shape", image.shape)\n' + CALL)
    verdict = grade_text(source, 38)
    assert verdict["passed"]
    assert "shape (" in verdict["printed"]


def test_an_encoding_may_be_declared(grade_text: Grade) -> None:
    source = f'# -*- coding: latin-1 -*-\n{SOLUTION}\nassert len("caf\u00e9") == 4\n'
    assert grade_text(source.replace("·", "*").encode("latin-1", "replace"), 38)["passed"]


@pytest.mark.parametrize(
    "line",
    [
        r'print("gr\u00f6\u00dfe \ud800")',
        "import matplotlib.pyplot",
        "import tempfile; tempfile.NamedTemporaryFile().write(b'x'); tempfile.mkdtemp()",
    ],
    ids=["prints any text", "makes a cache", "writes what is temporary"],
)
def test_what_any_program_may_do_is_no_mistake(line: str, grade_text: Grade) -> None:
    verdict = grade_text(f"{SOLUTION}\n\n{line}\n", 38)
    assert verdict["passed"], verdict["checks"]


def test_a_function_that_needs_numbers_fails_where_jit_would(grade_text: Grade) -> None:
    source = SOLUTION.replace(CALL, "    if image.sum() > 0:\n        image = image * 1\n" + CALL)
    verdict = grade_text(source, 38)
    assert failed_checks(verdict) == ["runs"]
    assert "TracerBoolConversionError" in message(verdict, "runs")


@pytest.mark.parametrize(
    "peek",
    [
        "exec(open(ROOT / 'solutions/38_patch_embed.py').read())",
        "import importlib\nfound = importlib.import_module('solutions.38_patch_embed')",
        "from grader.engine.reference import Solutions\nfound = Solutions().module(38)",
        "from grader.engine.reference import unedited\nfound = unedited().module(38)",
        "import runpy; globals().update(runpy.run_path(str(ROOT / 'solutions/38_patch_embed.py')))",
    ],
)
def test_reading_the_solution_is_no_pass_and_is_named(peek: str, grade_text: Grade) -> None:
    verdict = grade_text(f"from grader.catalogue import ROOT\n{peek}\n", 38)
    assert not verdict["passed"]
    assert "closed to an answer" in message(verdict, "reads")


def test_a_child_that_answers_nonsense_gets_a_verdict_and_no_pass(grade_text: Grade) -> None:
    liar = (
        "import numpy as np\n"
        "from grader.engine.worker import Worker\n"
        "Worker.do_run = lambda self, request, arrays: ({}, [np.zeros(3)] * 5)\n"
        "Worker.do_initial = lambda self, request, arrays: ({}, [])\n"
    )
    verdict = grade_text(SOLUTION.replace("import jax\n", "import jax\n" + liar, 1), 38)
    assert not verdict["passed"]
    assert {"failed", "error"} & {check["status"] for check in verdict["checks"]}


def test_a_child_that_sends_garbage_gets_a_verdict_and_no_pass(grade_text: Grade) -> None:
    noise = (
        "import os\n"
        "for fd in range(3, 64):\n"
        "    try:\n"
        "        os.write(fd, b'{\"passed\": true}' * 1000)\n"
        "    except OSError:\n"
        "        pass\n"
    )
    verdict = grade_text(SOLUTION.replace("import jax\n", "import jax\n" + noise, 1), 38)
    assert not verdict["passed"]

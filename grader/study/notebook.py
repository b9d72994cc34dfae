"""``%%grade 46`` in a notebook: the cell below is the answer.

The cell is graded on its own, as a file would be: nothing depends on which cells ran before, or
in what order.  Grading happens in a process of its own, for a kernel that has used JAX cannot
be forked.
"""

from __future__ import annotations

import atexit
import io
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.display import display
from rich.console import Console

from grader import catalogue
from grader.engine.cells import jupyter_command
from grader.engine.warm_grader import WarmGrader
from grader.problem import Problem
from grader.report.html_page import fragment
from grader.report.terminal import print_verdict
from grader.study import progress
from grader.study.retold import pictures_from, verdict_from
from grader.verdict import Verdict

_ALONE = "a cell is graded on its own: put its imports, and whatever it uses, into it"


class Shown:
    """A verdict that a notebook shows as HTML, and a terminal as text."""

    def __init__(self, verdict: Verdict, problem: Problem, html: str) -> None:
        self.verdict = verdict
        self._problem = problem
        self._html = html

    def _repr_html_(self) -> str:
        return self._html

    def __repr__(self) -> str:
        """The report as the terminal prints it."""
        stream = io.StringIO()
        brief = replace(self.verdict, counterexample=None, file="this cell")
        plain = Console(file=stream, width=80, emoji=False, force_jupyter=False, color_system=None)
        print_verdict(brief, self._problem, plain)
        return stream.getvalue().strip()


class Grading:
    """Holds the warm grader of this kernel."""

    def __init__(self) -> None:
        self._warm: WarmGrader | None = None

    def start(self) -> WarmGrader:
        """The warm grader; a new one where there is none."""
        if self._warm is None:
            self._warm = WarmGrader(prepare=True)
        return self._warm

    def close(self) -> None:
        """End it."""
        if self._warm is not None:
            self._warm.close()
            self._warm = None

    def grade(self, text: str, number: int, **options: Any) -> Shown:
        """Grade the text of a cell, as it stands below its first line.

        Args:
          text: the text.
          number: the problem.
          options: ``seed`` and ``timeout``.

        Raises:
          UsageError: the problem's author has to mend it; or the warm grader is gone, and the
            next call starts a new one.

        """
        known = progress.passed_texts(progress.read())
        with tempfile.TemporaryDirectory(prefix="cell-") as folder:
            path = Path(folder) / catalogue.solution_path(number).name
            path.write_text("\n" + text, encoding="utf-8")  # %%grade is line 1, as Jupyter counts
            try:
                told = self.start().examine(
                    path, number, passed=known.hashes, pictures=True, **options
                )
            except catalogue.BrokenProblem as error:
                raise UsageError(str(error)) from None
            except RuntimeError as error:
                self.close()
                raise UsageError(f"{error}; run the cell again") from None
            except BaseException:  # interrupted: an answer that comes later is not wanted
                self.close()
                raise
        verdict = verdict_from(told["verdict"])
        if any("NameError" in check.message for check in verdict.checks):
            verdict = replace(verdict, notes=(*verdict.notes, _ALONE))
        progress.record_cell(number, verdict, text)
        problem = catalogue.problem(number)
        return Shown(verdict, problem, fragment(verdict, problem, pictures_from(told["pictures"])))


_grading = Grading()


@magic_arguments("%grade")  # type: ignore[untyped-decorator]
@argument("problem", help="The problem's number, e.g. 46.")  # type: ignore[untyped-decorator]
@argument("--seed", type=int, default=0, help="Draw other cases.")  # type: ignore[untyped-decorator]
@argument(  # type: ignore[untyped-decorator]
    "--timeout", type=float, default=20.0, help="Seconds that the answer has, 1 to 3600."
)
def grade(line: str, cell: str) -> None:
    """Grade the cell below as the answer to a problem."""
    if _asks_for_help(line):
        print(_usage())
        return
    arguments: Any = parse_argstring(grade, line)
    try:
        number = catalogue.number_of(arguments.problem)
    except catalogue.UnknownProblem as error:
        raise UsageError(str(error)) from None
    if number is None:
        raise UsageError(f"there is no problem {arguments.problem}; there are {catalogue.known()}")
    if not 0 <= arguments.seed <= catalogue.MOST_SEED:
        raise UsageError(f"--seed is a number from 0 to {catalogue.MOST_SEED}")
    if not 1 <= arguments.timeout <= 3600:
        raise UsageError("--timeout is a number of seconds from 1 to 3600")
    if not cell.strip():
        raise UsageError("the cell is empty; the answer belongs below its first line")
    if (told := jupyter_command("\n" + cell)) is not None:
        raise UsageError(told)
    display(_grading.grade(cell, number, seed=arguments.seed, timeout=arguments.timeout))


def _usage() -> str:
    parser: Any = grade.parser
    told: str = parser.format_help()
    return told.removeprefix("::").strip()


def _asks_for_help(line: str) -> bool:
    return not {"-h", "--help"}.isdisjoint(line.split())


def _with_a_body(lines: list[str]) -> list[str]:
    """``%%grade -h`` alone gets an empty line below: IPython does not call us without."""
    alone = len(lines) == 1 and lines[0].startswith("%%grade") and _asks_for_help(lines[0])
    return [lines[0].rstrip("\n") + "\n", "\n"] if alone else lines


def load(shell: Any) -> None:
    """Add ``%%grade`` to an IPython shell."""
    shell.register_magic_function(grade, "cell", "grade")
    shell.input_transformers_cleanup.append(_with_a_body)
    _grading.start()
    atexit.register(_grading.close)


def unload(shell: Any) -> None:
    """Take it away again."""
    shell.magics_manager.magics["cell"].pop("grade", None)
    if _with_a_body in shell.input_transformers_cleanup:
        shell.input_transformers_cleanup.remove(_with_a_body)
    _grading.close()
    atexit.unregister(_grading.close)

"""``watch``: grade again at each save, on one screen, with single keys."""

from __future__ import annotations

import select
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console
from rich.text import Text

from grader import catalogue
from grader.engine.warm_grader import CANCELLED, WarmGrader
from grader.report.dashboard import print_dashboard
from grader.report.hints import print_hints
from grader.report.screen import cropped, lines_of, verdict_lines
from grader.report.terminal import console_for
from grader.study import hints, progress
from grader.study.changes import Changes
from grader.study.keyboard import Keyboard
from grader.study.retold import verdict_from
from grader.study.standing import next_to_do, standing, standings
from grader.verdict import Verdict

KEYS = "h hint  n next  l list  r run  q quit"
_FOOT = 3


QUICK = {"cases": 9, "shapes": 3, "through_xla": False, "shrink": False}
"""What is asked first, for a verdict at once; the full one follows and is what counts."""


@dataclass(frozen=True)
class _Asked:
    """A grading under way: the problem, the text that lay there then, and whether it is full."""

    number: int
    text: str | None
    full: bool


class Watch:
    """Watches one problem, or without a number whichever answer is saved."""

    def __init__(self, number: int | None) -> None:
        names = catalogue.names()
        self._follow = number is None
        upcoming = next_to_do(standings(progress.read(tell=self._tell)))
        self.number = number or (upcoming.number if upcoming else next(iter(names)))
        self._files = {
            n: catalogue.PROBLEMS / catalogue.solution_path(n).name for n in catalogue.names()
        }
        self._console = console_for()
        self._asked: list[_Asked] = []
        self._verdict: Verdict | None = None
        self._aside: Callable[[Console], None] | None = None
        self._told = ""
        self._interim = False
        self._restarted = False

    def run(self) -> int:
        """Watch until the user quits; the exit status.

        Raises:
          RuntimeError: the warm grader cannot be kept running.

        """
        self._warm = WarmGrader(prepare=True)
        changes = Changes(self._files)
        try:
            with Keyboard() as keyboard:
                self._grade()
                while self._step(keyboard, changes):
                    pass
        except KeyboardInterrupt:
            pass
        finally:
            changes.close()
            self._warm.close()
            print(flush=True)
        return 0

    def _tell(self, line: str) -> None:
        self._told = line

    # --- one turn --------------------------------------------------------------------------

    def _step(self, keyboard: Keyboard, changes: Changes) -> bool:
        """Wait for something to happen and deal with it; False to quit."""
        sources: list[Any] = [keyboard, keyboard.signals, self._warm, changes]
        ready = select.select(sources, [], [], changes.patience())[0]
        if keyboard.signals in ready:
            came = keyboard.events()
            if came & {signal.SIGTERM, signal.SIGHUP}:
                return False
            keyboard.take()
            self._draw()
        if self._warm in ready:
            self._receive()
        for number in changes.saved():
            if number == self.number or self._follow:
                self._turn_to(number)
        if keyboard in ready:
            for key in keyboard.typed():
                if key in ("q", "\x04"):
                    return False
                self._press(key)
        return True

    def _press(self, key: str) -> None:
        if key == "h":
            self._hint()
        elif key == "l":
            all_of_them = standings(progress.read(tell=self._tell))
            self._show(lambda console: print_dashboard(all_of_them, console))
        elif key == "r":
            self._grade()
        elif key == "n":
            self._next()

    def _hint(self) -> None:
        known = progress.read(tell=self._tell).get(self.number, progress.Reached())
        source = hints.sources(catalogue.problem(self.number), known)
        found, after = source.one_more(known)
        try:
            progress.update(self.number, lambda now: source.one_more(now)[1], tell=self._tell)
        except progress.Unsaved as unsaved:
            self._tell(str(unsaved))
        number, more = self.number, source.one_more(after)[0] is not None
        told = [found] if found else source.shown(known)
        self._show(lambda console: print_hints(number, told, console, more=more))

    def _next(self) -> None:
        known = progress.read(tell=self._tell)
        later = [n for n in self._files if n > self.number] + [
            n for n in self._files if n < self.number
        ]
        todo = [n for n in later if not standing(n, known.get(n, progress.Reached())).passed]
        if not todo:
            self._tell("every other problem has passed")
            self._draw()
            return
        self._turn_to(todo[0])

    def _show(self, show: Callable[[Console], None]) -> None:
        self._aside = show
        self._draw()

    # --- grading ---------------------------------------------------------------------------

    def _turn_to(self, number: int) -> None:
        if number != self.number:
            self.number, self._verdict = number, None
        self._grade()

    def _grade(self) -> None:
        """Ask for a verdict on the file as it is now; one under way is out of date."""
        self._aside, self._interim = None, False
        if self._asked:
            self._warm.cancel()
        self._ask(full=False)
        self._draw()

    def _ask(self, full: bool) -> None:
        path = self._files[self.number]
        passed = progress.passed_texts(progress.read(tell=self._tell))
        self._asked.append(_Asked(self.number, progress.text_of(path), full))
        extent = {} if full else {**QUICK, "interim": True}
        self._warm.ask(path, self.number, full=True, passed=passed.hashes, **extent)

    def _receive(self) -> None:
        try:
            told = self._warm.receive()
        except RuntimeError:
            if self._restarted:
                raise
            self._restarted = True
            self._warm.close()
            self._warm, self._asked = WarmGrader(prepare=True), []
            self._grade()
            return
        self._restarted = False
        if "interim" in told:
            if len(self._asked) == 1:  # else there is a newer text
                self._take(told["interim"])
                self._interim = True
                self._draw()
            return
        asked = self._asked.pop(0)
        if told == CANCELLED or asked.number != self.number:
            return
        verdict = self._take(told["verdict"])
        if not asked.full and not self._asked:
            self._ask(full=True)
        elif asked.full and progress.text_of(self._files[asked.number]) == asked.text:
            text = asked.text if verdict.passed else None
            progress.record_verdict(asked.number, verdict, text, self._tell)
        self._draw()

    def _take(self, told: dict[str, Any]) -> Verdict:
        verdict, path = verdict_from(told), self._files[self.number]
        self._verdict = replace(verdict, file=f"{path.parent.name}/{path.name}")
        self._told, self._interim = "", False
        return verdict

    def _status(self) -> str:
        if not self._asked:
            passed = self._verdict is not None and self._verdict.passed
            return "waiting for a save" + (", n for the next one" if passed else "")
        if self._asked[-1].full:
            return f"{QUICK['cases']} cases so far; the others are being checked"
        return "looking for the mistake" if self._interim else "grading"

    # --- the screen ------------------------------------------------------------------------

    def _draw(self) -> None:
        console = self._console
        room = max(console.height - _FOOT, 5)
        problem = catalogue.problem(self.number)
        if self._aside is not None:
            show = self._aside
            lines = cropped(lines_of(console, show), console, room, 0, "(a taller window)")
        elif self._verdict is not None:
            lines = verdict_lines(self._verdict, problem, console, room)
        else:
            lines = lines_of(
                console, lambda c: c.print(Text(f"{problem.number} {problem.title}", "bold"))
            )
        status = self._told or self._status()
        foot = [Text(status[: console.width - 1], "dim"), Text(KEYS[: console.width - 1], "bold")]
        clear = "" if console.is_dumb_terminal else "\x1b[H\x1b[2J\x1b[3J"
        body = "\n".join([*lines, "", *lines_of(console, lambda c: c.print(foot[0]))])
        keys = "\n".join(lines_of(console, lambda c: c.print(foot[1])))
        sys.stdout.write(f"{clear}{body}\n{keys}")
        sys.stdout.flush()

"""Who looks on at the command line: a progress bar or plain lines, Ctrl-C, ``metrics.jsonl``."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

from rich.console import Console

from solutions.training.bar import Part, progress_bar
from solutions.training.disk import saving, write_whole
from solutions.training.loop import Line, Progress
from solutions.training.runs import ANSWERS, Run

_PLAIN_SECONDS = 30.0
"""Between two plain lines within a long epoch."""


_ONE_SIGNAL = 0.2
"""Seconds within which two are one: what passes signals on may send them to the group as well."""


class Stop:
    """Whether somebody asked to stop; the second time stops at once.

    Attributes:
      number: the signal that came, or 0.

    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.number = 0
        self._since = 0.0
        self._tell = tell
        self._told = False

    def __call__(self, number: int, _: FrameType | None) -> None:
        """The handler of SIGINT and SIGTERM.

        It only remembers: whatever was interrupted may be printing, which cannot be entered twice.
        """
        now = time.monotonic()
        if not self.number:
            self.number, self._since = number, now
        elif now - self._since > _ONE_SIGNAL:
            raise KeyboardInterrupt

    def asked(self) -> bool:
        """Whether a signal came; told the first time."""
        if self.number and not self._told:
            self._told = True
            self._tell("stopping and saving; once more stops at once")
        return bool(self.number)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within this block SIGINT and SIGTERM are heard."""
        known = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, self) for number in known]
        try:
            yield
        finally:
            for number, handler in zip(known, before, strict=True):
                signal.signal(number, handler)


class Watching:
    """Shows the progress of a run, and writes its metrics.

    Args:
      run: its folder gets ``metrics.jsonl``; None in processes that only help.
      console: where to show it; a bar on a terminal that can draw one, plain lines elsewhere.
      stop: whether to stop.
      events: gets every line of the metrics too, e.g. for TensorBoard.
      answers: texts that are kept in the run's folder, by the name of the file.

    """

    def __init__(
        self,
        run: Run | None,
        console: Console,
        stop: Stop,
        events: Callable[[Line], None] | None = None,
        answers: Mapping[str, str] | None = None,
    ) -> None:
        self._run, self._console, self._stop, self._events = run, console, stop, events
        self._answers = answers or {}
        self._tested: tuple[Part, ...] = ()
        self._told = time.monotonic()
        self._bar = progress_bar(console)
        self._task = self._bar.add_task("", total=None, epoch=1, parts=())

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Within this block the bar stands at the bottom of the terminal."""
        if self._run is None or not self._console.is_interactive:
            yield
            return
        with self._bar:
            yield

    def on_start(self, step: int, total_steps: int, history: Sequence[Line]) -> None:
        """Write what the run is, and set bar and metrics to where it stands."""
        parts = (_steps(step, total_steps), Part(0, "compiling", "compiling"))
        epoch = int(history[-1]["epoch"]) + 1 if history else 1
        self._bar.update(self._task, total=total_steps, completed=step, epoch=epoch, parts=parts)
        if self._run is not None:
            self._run.save()
            for name, text in self._answers.items():
                write_whole(self._run.folder / ANSWERS / name, text)
            self._run.write_metrics(history)
            if step:
                self._console.print(f"resuming at step {step} of {total_steps}")

    def on_progress(self, progress: Progress) -> None:
        """Move the bar, or tell a plain line now and then."""
        steps, parts = _steps(progress.step, progress.total_steps), _parts(progress)
        self._bar.update(
            self._task,
            completed=progress.step,
            epoch=progress.epoch,
            parts=(steps, *parts, *self._tested),
        )
        late = time.monotonic() - self._told > _PLAIN_SECONDS
        if self._run is not None and not self._console.is_interactive and late:
            self._say("  ".join(part.words for part in (steps, *parts)))

    def on_epoch(self, line: Line) -> None:
        """Write the line; tell it where there is no bar."""
        accuracy = line.get("test_accuracy")
        if accuracy is not None:
            self._tested = (Part(1, f"test {accuracy:.2%}", f"test {accuracy:.1%}"),)
        if self._run is None:
            return
        self._run.add_metrics(line)
        if self._events is not None:
            with saving(self._run.folder / "events"):
                self._events(line)
        if not self._console.is_interactive:
            told = "  ".join(
                f"{name} {value:.4g}"
                for name, value in line.items()
                if name.startswith(_TOLD) and value is not None
            )
            self._say(f"epoch {line['epoch']:.0f}  {told}  {line['seconds']:.0f} s")

    def _say(self, text: str) -> None:
        self._told = time.monotonic()
        self._console.print(text, soft_wrap=True, highlight=False)

    def stop_asked(self) -> bool:
        """Whether a signal came."""
        return self._stop.asked()


_TOLD = ("train_", "test_", "images_per_second")


def _steps(step: int, total_steps: int) -> Part:
    return Part(2, f"step {step}/{total_steps}", f"{step}/{total_steps}")


def _parts(progress: Progress) -> list[Part]:
    metrics, rate = progress.metrics, progress.images_per_second
    loss = f"loss {metrics['loss']:.3f}"
    parts = [Part(0, loss, loss)]
    if "accuracy" in metrics:
        accuracy = f"{metrics['accuracy']:.1%}"
        parts.append(Part(3, f"accuracy {accuracy}", f"acc {accuracy}"))
    if rate:
        short = f"{rate:.0f}/s" if rate < 10_000 else f"{rate / 1000:.0f}k/s"
        parts.append(Part(4, f"{rate:.0f} images/s", short))
    learning_rate = f"lr {progress.learning_rate:.1e}"
    parts.append(Part(5, learning_rate, learning_rate.replace("e-0", "e-")))
    return parts

"""The lines of the metrics as TensorBoard events."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from solutions.training.onlooker import Line


def tensorboard(folder: Path) -> Callable[[Line], None]:
    """A function that writes a line of the metrics as TensorBoard events into ``folder``.

    Each line is on the disk when the function returns; ``tensorboardX.SummaryWriter`` hands events
    to a thread, and loses the last ones when the process ends.  The first line begins a session:
    TensorBoard then forgets what earlier sessions wrote from that step on, which a run that went
    on from a checkpoint has done again.

    Raises:
      ImportError: the extra is not installed.

    """
    from tensorboardX.event_file_writer import EventsWriter
    from tensorboardX.proto.event_pb2 import Event, SessionLog
    from tensorboardX.summary import scalar

    folder.mkdir(parents=True, exist_ok=True)
    writer = EventsWriter(str(folder / "events"))
    begun = False

    def write(line: Line) -> None:
        nonlocal begun
        step = int(line["step"])
        if not begun:
            start = SessionLog(status=SessionLog.START)
            writer.write_event(Event(wall_time=time.time(), step=step, session_log=start))
            begun = True
        for name, value in line.items():
            if name not in ("step", "epoch") and value is not None:
                summary = scalar(name, value)
                writer.write_event(Event(wall_time=time.time(), step=step, summary=summary))
        writer.flush()

    return write

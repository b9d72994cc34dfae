"""Open a file in the editor that ``VISUAL`` or ``EDITOR`` names."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path


class NoEditor(Exception):
    """There is no editor to open; the message says what to type."""


def command(environment: dict[str, str] | None = None) -> list[str]:
    """The editor and its arguments, e.g. ``["code", "--wait"]``.

    Raises:
      NoEditor: none is named, or the one named is not there.

    """
    known = dict(os.environ) if environment is None else environment
    name = "VISUAL" if known.get("VISUAL", "").strip() else "EDITOR"
    told = known.get(name, "").strip()
    if not told:
        raise NoEditor("no editor is set; type e.g.: export EDITOR=nano")
    try:
        words = shlex.split(told)
    except ValueError as error:
        raise NoEditor(f"{name} is {told!r}, which is no command line: {error}") from None
    if shutil.which(words[0]) is None:
        raise NoEditor(f"{name} is {told!r}, and there is no command {words[0]}")
    return words


def edit(path: Path) -> int:
    """Open ``path`` and wait; the editor's exit status.

    Raises:
      NoEditor: see ``command``.

    """
    return subprocess.run([*command(), str(path)], check=False).returncode  # noqa: S603

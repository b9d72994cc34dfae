"""One case on the screen: the reference's stages with their values, beside the submission's."""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.text import Text

from grader.engine.one_case import CaseView
from grader.report.text import Signs, harmless


def print_case(view: CaseView, console: Console) -> None:
    """Print inputs, stages and outputs of one case."""
    signs = Signs.for_encoding(console.encoding)
    for name, value in view.inputs.items():
        _print_value(console, name, value)
    for i, (stage, finding) in enumerate(zip(view.stages, view.findings, strict=True)):
        if i in view.still_open:
            line = Text(f"{signs.failed} {stage.title}", "bold red")
        elif finding.found:
            line = Text(f"{signs.passed} {stage.title}", "green")
            line.append(f"  (line {finding.line})" if finding.line else "", "dim")
        else:
            line = Text(f"{signs.skipped} {stage.title}", "green")
            line.append("  (did not come up; what depends on it is right)", "dim")
        console.print(line)
        _print_value(console, "reference", stage.value)
    for label, expected, actual in view.outputs:
        console.print(Text(label, "bold"))
        _print_value(console, "expected", expected)
        if actual is not None:
            _print_value(console, "actual", actual)
    if view.message:
        console.print(Text(harmless(view.message), "bold red"))


def _print_value(console: Console, name: str, value: np.ndarray) -> None:
    text = np.array2string(
        value, precision=4, suppress_small=True, threshold=120, max_line_width=72
    )
    console.print(Text(f"  {name} {value.shape}", "dim"))
    for line in text.splitlines():
        console.print(Text("    " + line))

"""The dashboard: every problem with its state, what is next, and what to type."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from grader.report.text import Signs
from grader.report.wrapping import print_indented
from grader.study.standing import Standing, State, next_to_do

_STYLES: dict[State, str] = {
    "passed": "green",
    "passed with help": "yellow",
    "tried": "cyan",
    "not started": "dim",
}
_SHORT: dict[State, str] = {
    "passed": "passed",
    "passed with help": "helped",
    "tried": "tried",
    "not started": "-",
}
_NARROW = 64
_LINE = 78


def print_dashboard(standings: list[Standing], console: Console) -> None:
    """Print the whole dashboard."""
    signs = Signs.for_encoding(console.encoding)
    upcoming = next_to_do(standings)
    width = min(console.width, _LINE)
    console.print()
    for line in table(standings, width, signs):
        console.print(line, soft_wrap=True)
    console.print()
    console.print(_bar(standings, width, signs), soft_wrap=True)
    console.print()
    print_next(upcoming, console)


def print_next(upcoming: Standing | None, console: Console) -> None:
    """Print what to type now."""
    for line in _what_to_type(upcoming, narrow=console.width < _NARROW):
        print_indented(console, line, 0)


def table(standings: list[Standing], width: int, signs: Signs) -> list[Text]:
    """A line for each problem, at most ``width`` wide."""
    upcoming = next_to_do(standings)
    states = _SHORT if width < _NARROW else {state: state for state in _STYLES}
    for_state = max(map(len, states.values()))
    for_title = width - 2 - 3 - 1 - for_state - 1 - 4
    lines = []
    for one in standings:
        pointer = (signs.arrow if signs.arrow == "→" else ">") if one is upcoming else " "
        line = Text().append(f"{pointer} ", "bold")
        line.append(f"{one.number:<3}", "bold" if one is upcoming else "")
        line.append(cut(one.title, for_title, signs).ljust(for_title + 1))
        line.append(states[one.state].ljust(for_state + 1), _STYLES[one.state])
        line.append(f"{one.score:.2f}" if one.state != "not started" else "    ")
        line.rstrip()
        lines.append(line)
    return lines


def cut(text: str, width: int, signs: Signs) -> str:
    """``text``, shortened to ``width`` with dots at its end."""
    dots = "…" if signs.passed == "✓" else "..."
    return text if len(text) <= width else text[: max(width - len(dots), 0)].rstrip() + dots


def _bar(standings: list[Standing], width: int, signs: Signs) -> Text:
    done = sum(one.passed for one in standings)
    told = f" {done} of {len(standings)} passed"
    room = max(min(width - len(told) - 2, 40), 5)
    filled = round(room * done / len(standings))
    full, empty = ("█", "░") if signs.passed == "✓" else ("#", ".")
    bar = Text().append("  " + full * filled, "green")
    bar.append(empty * (room - filled), "dim")
    return bar.append(told)


def _what_to_type(upcoming: Standing | None, narrow: bool) -> list[Text]:
    if upcoming is None:
        return [
            Text("All problems have passed. Train your own models:", "bold green"),
            Text("  python -m grader train --mine", "cyan"),
        ]
    number = upcoming.number
    if upcoming.state == "not started":
        steps = [(f"show {number}", "the page"), (f"watch {number}", "grade at each save")]
    else:
        steps = [(f"{number}", "grade it"), (f"hint {number}", "one hint more")]
    heading = Text(f"Next: {number} {upcoming.title}", "bold")
    longest = max(len(words) for words, _ in steps)
    lines = [heading]
    for words, meaning in steps:
        line = Text().append(f"  python -m grader {words.ljust(longest)}", "cyan")
        lines.append(line if narrow else line.append(f"  {meaning}", "dim"))
    return lines

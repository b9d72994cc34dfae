"""The generated parts of README.md."""

from __future__ import annotations

import json
import re
from pathlib import Path

from grader import catalogue

README = catalogue.ROOT / "README.md"
MUTANTS = Path(__file__).parent / "mutants.json"
DIAGNOSES = Path(__file__).parent / "diagnoses.json"


def replace_part(name: str, text: str) -> None:
    """Put ``text`` between the two comments with this name."""
    before = README.read_text(encoding="utf-8")
    README.write_text(_replaced(before, name, text), encoding="utf-8")


def _replaced(readme: str, name: str, text: str) -> str:
    pattern = rf"<!-- {name} -->.*?<!-- /{name} -->"
    return re.sub(
        pattern, lambda _: f"<!-- {name} -->\n{text}\n<!-- /{name} -->", readme, flags=re.S
    )


def problems_table() -> str:
    """What each problem teaches, and how well its grader is proved."""
    known = json.loads(MUTANTS.read_text()) if MUTANTS.exists() else {}
    lines = [
        "| problem | teaches | pitfalls proved caught | right answers accepted | wrong answers "
        "rejected | mechanical mutants rejected |",
        "|---|---|---|---|---|---|",
    ]
    for number in catalogue.names():
        problem = catalogue.problem(number)
        folder = catalogue.ROOT / "tests" / "answers" / problem.name
        right, wrong = (len(list((folder / kind).glob("*.py"))) for kind in ("right", "wrong"))
        found = known.get(str(number))
        share = f"{found['rejected']} of {found['mutants']}" if found else "not run"
        lines.append(
            f"| {number} {problem.title} | {problem.teaches} | {len(problem.pitfalls)} | {right} "
            f"| {wrong} | {share} |"
        )
    return "\n".join(lines)


def diagnoses_table() -> str:
    """How often the first diagnosis is the right one, as far as it was counted."""
    known = json.loads(DIAGNOSES.read_text())
    rows = ["| planted | first diagnosis |", "|---|---|"]
    if alone := known.get("singles"):
        rows.append(f"| every known mistake alone | {alone['right']} of {alone['tried']} named |")
    if pairs := known.get("pairs"):
        found = f"both named in {pairs['right']} of {pairs['tried']}"
        rows.append(f"| two known mistakes at once (a sample) | {found} |")
    if answers := known.get("answers"):
        more = answers["right"] - answers["named"]
        found = f"{answers['named']} of {answers['tried']} named, {more} more shown at their place"
        rows.append(f"| wrong answers written independently | {found} |")
    return "\n".join(rows)


TABLES = {"table": problems_table, "diagnoses": diagnoses_table}


def out_of_date() -> list[str]:
    """The tables of README.md that do not show what was counted."""
    text = README.read_text(encoding="utf-8")
    return [name for name, made in TABLES.items() if _replaced(text, name, made()) != text]


if __name__ == "__main__":
    for name, made in TABLES.items():
        replace_part(name, made())

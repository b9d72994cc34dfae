"""What a grading finds: all checks of one submission, plus the diagnosis.  Plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

SCHEMA = 1
"""Version of the JSON form; documented in README.md, raised when a field changes meaning."""

Status = Literal["passed", "failed", "skipped", "error"]


@dataclass(frozen=True)
class Check:
    """One question and its answer.

    Attributes:
      id: the check's name, after the function's and a dot where a problem has several.
      title: the question as people read it.
      status: ``error`` when the grader itself could not find out.
      message: what was asked, what came, what to look at next; empty when it passed.
      weight: its share of the score.

    """

    id: str
    title: str
    status: Status
    message: str = ""
    weight: float = 1.0


@dataclass(frozen=True)
class Diagnosis:
    """A known mistake that gives the submission's numbers (or its error).

    Attributes:
      pitfall: its id among those of its problem, or that of a cause of errors.
      title, advice: in a student's words.
      problem: the one that teaches what went wrong, which may be an earlier one.

    """

    pitfall: str
    title: str
    advice: str
    problem: int


@dataclass(frozen=True)
class Counterexample:
    """The smallest failing case: where it fails, what was expected, what came."""

    function: str
    output: str
    case: dict[str, Any]
    shapes: dict[str, list[int]]
    expected: list[Any]
    actual: list[Any]
    largest_difference: float | None
    index: list[int]
    command: str


@dataclass(frozen=True)
class StageLine:
    """A stage of the reference, and whether it came up in the submission.

    Attributes:
      function: the contract function.
      title: what people call the stage.
      found: whether a value of the submission equals it.
      line: the line of the submission that made that value; 0 when unknown.
      parts: whether submission and reference part here.
      inside: whether this is a step of a block, on the way to the stage where they part.
      after: whether the two part only after this stage, the last one.

    """

    function: str
    title: str
    found: bool
    line: int = 0
    parts: bool = False
    inside: bool = False
    after: bool = False


@dataclass(frozen=True)
class Nearest:
    """The submission's value nearest to the one that should have come up.

    Attributes:
      function: the contract function.
      what: the stage or output that should have come up.
      line: the line of the submission that made the value; 0 when unknown.
      code: that line.
      difference: how the value differs, completing "it is …"; empty when nothing simple fits.

    """

    function: str
    what: str
    line: int
    code: str
    difference: str


@dataclass(frozen=True)
class Verdict:
    """Everything that is known about one submission.

    Attributes:
      problem: the problem's name.
      file: the submission.
      checks: every check, in the order in which they are asked.
      seed: what the cases were drawn by.
      cases, shapes: how many cases were compared, over how many choices of hyperparameters.
      seconds: how long it took.
      diagnoses: the known mistakes that were found.
      searched: whether all known mistakes were tried; only then none of them is it when there is
        no diagnosis.
      stages, nearest: where submission and reference part.
      remarks: accepted variants that the submission took.
      counterexample: the smallest failing case.
      printed: what the submission printed.
      notes: what else its reader must know.

    """

    problem: str
    file: str
    checks: tuple[Check, ...]
    seed: int
    cases: int = 0
    shapes: int = 0
    seconds: float = 0.0
    diagnoses: tuple[Diagnosis, ...] = ()
    searched: bool = False
    stages: tuple[StageLine, ...] = ()
    nearest: tuple[Nearest, ...] = ()
    remarks: tuple[str, ...] = ()
    counterexample: Counterexample | None = None
    printed: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return bool(self.checks) and all(check.status == "passed" for check in self.checks)

    @property
    def score(self) -> float:
        """The weight of the passed checks, as a share of all: 0 to 1."""
        total = sum(check.weight for check in self.checks)
        earned = sum(check.weight for check in self.checks if check.status == "passed")
        return round(earned / total, 4) if total else 0.0

    def as_json(self) -> dict[str, Any]:
        """The documented JSON form."""
        return {
            "schema": SCHEMA,
            "problem": self.problem,
            "file": self.file,
            "passed": self.passed,
            "score": self.score,
            "checks": [
                {"id": c.id, "title": c.title, "status": c.status, "message": c.message}
                for c in self.checks
            ],
            "diagnoses": [
                {
                    "pitfall": diagnosis.pitfall,
                    "problem": int(diagnosis.problem),
                    "title": diagnosis.title,
                    "advice": diagnosis.advice,
                }
                for diagnosis in self.diagnoses
            ],
            "remarks": list(self.remarks),
            "counterexample": asdict(self.counterexample) if self.counterexample else None,
            "stages": [asdict(stage) for stage in self.stages],
            "nearest": [asdict(value) for value in self.nearest],
            "cases": self.cases,
            "shapes": self.shapes,
            "printed": self.printed,
            "notes": list(self.notes),
            "seconds": round(self.seconds, 3),
            "seed": self.seed,
        }

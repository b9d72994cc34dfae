"""One grading in progress: load, judge each contract, diagnose, put the verdict together."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from grader.engine import counterexample
from grader.engine.blocks_used import Block, choose, notes
from grader.engine.cases import STYLES, Draw, draws_with_corners
from grader.engine.contract_judge import ContractJudge
from grader.engine.diagnose import Diagnosed, Diagnostician
from grader.engine.findings import WEIGHTS
from grader.engine.judge import Order
from grader.engine.process import Lost
from grader.engine.reference import unedited
from grader.engine.remote import Remote, SubmissionError
from grader.engine.submission import lines_of
from grader.engine.suspects import Suspect
from grader.engine.told import names_in, numbers_in
from grader.engine.where import Where
from grader.engine.words import error_words
from grader.problem import Contract
from grader.verdict import Check, Diagnosis, Nearest, StageLine, Status, Verdict


def texts(blocks: list[Block]) -> dict[int, dict[str, str]]:
    """What the child needs of the blocks, by number."""
    return {b.number: {"source": b.source, "filename": name_of(b.path)} for b in blocks}


def name_of(path: Path) -> str:
    """The name that code is compiled under: XLA takes none that UTF-8 cannot write."""
    return str(path).encode("utf-8", "replace").decode()


def draws_for(order: Order) -> list[Draw]:
    """The hyperparameters to grade on: the same for the same problem, seed and cases."""
    count = max(order.shapes, -(-order.cases // len(STYLES)))
    return draws_with_corners(order.problem, np.random.default_rng(order.seed), count)


class Grading:
    """Grades one submission with one child or two."""

    def __init__(
        self, order: Order, source: str, main: Remote, second: Remote | None = None
    ) -> None:
        self.order = order
        self.source = source
        self._suspect = Suspect()  # the mistakes found so far
        self.problem = order.problem
        self.main = main
        self.second = second
        self.blocks = choose(order.problem, order.has_passed)
        self._loading = [
            remote.ask(
                "load",
                source=source,
                filename=name_of(order.path),
                blocks=texts(self.blocks),
            )
            for remote in (main, second)
            if remote is not None
        ]
        self.verdict = Verdict(self.problem.name, str(order.path), (), order.seed)

    def run(self) -> Verdict:
        """Everything, in order.  Whatever happens on the way, what is known is kept."""
        try:
            return self._run()
        except Lost:
            return self.broken_off("failed", "the time was up; the grader stopped here")
        except Exception as error:
            # Whatever the child answered that the judge did not expect: no pass, but a verdict.
            what = f"the grader itself could not find out ({type(error).__name__}: {error})"
            return self.broken_off("error", what[:500])

    def broken_off(self, status: Status, message: str) -> Verdict:
        """What is known so far, and that it is not all: never a pass."""
        self._add(Check("finished", "the grading came to its end", status, message, 0.0))
        return self.verdict

    def _run(self) -> Verdict:
        draws = draws_for(self.order)
        try:
            header, _ = self._loading[0].result()
        except SubmissionError as error:
            return self._not_loaded(error_words(error.error))
        except Lost as lost:
            late = lost.reason == "timeout"
            return self._not_loaded(
                f"importing it took longer than {self.order.timeout:g} s"
                if late
                else f"while importing it, {lost}"
            )
        for line in notes(self.blocks, numbers_in(header.get("used"))):
            self._note(line)
        for judge in self._judges(header, draws):
            self._judge(judge)
        return self.verdict

    def _not_loaded(self, message: str) -> Verdict:
        check = Check("reads", "the file reads and imports", "failed", message)
        return replace(self.verdict, checks=(check,))

    def _judges(self, header: dict[str, Any], draws: list[Draw]) -> list[ContractJudge]:
        """Checks ``reads`` and ``contract``; a judge for each contract that can be judged."""
        self._add(Check("reads", "the file reads and imports", "passed", "", 0.0))
        judges = []
        for i, contract in enumerate(self.problem.contracts):
            message = contract_message(contract, header, i)
            many = len(self.problem.contracts) > 1
            name = f"{contract.function}.contract" if many else "contract"
            title = f"{contract.function} is there, with the right arguments"
            lost = sum(WEIGHTS.values()) * contract.weight if message else 0.0
            self._add(Check(name, title, "failed" if message else "passed", message, lost))
            if not message:
                judge = ContractJudge(self.problem, i, unedited(), draws, self.order.seed)
                judge.start(self.main, self.second, self.order.through_xla)
                judges.append(judge)
        return judges

    def _add(self, *checks: Check) -> None:
        self.verdict = replace(self.verdict, checks=(*self.verdict.checks, *checks))

    def _judge(self, judge: ContractJudge) -> None:
        findings = judge.judge()
        if findings.failed is not None:
            known = (*self.verdict.checks, *findings.checks)
            self.order.interim(replace(self.verdict, checks=known, searched=False))
            try:
                judge = self._explain(judge)
            except Lost:
                self._note("the time was up before the mistake could be looked for")
            except SubmissionError:
                self._note("the submission raised while the mistake was looked for")
            except Exception as error:
                self._note(f"the mistake could not be looked for ({type(error).__name__})")
        findings = judge.findings
        self._add(*findings.checks)
        shapes = len(judge.draws) if findings.cases else 0
        self.verdict = replace(
            self.verdict,
            cases=self.verdict.cases + findings.cases,
            remarks=(*self.verdict.remarks, *findings.remarks),
            shapes=max(self.verdict.shapes, shapes),
        )

    def _explain(self, judge: ContractJudge) -> ContractJudge:
        """Accept a variant, or say what is wrong and where."""
        doctor = self._accepting(Diagnostician(judge, known=self._suspect))
        judge = doctor.judge
        if judge.findings.failed is None or not self.order.explain:
            return judge
        diagnosed = doctor.diagnose()
        function, where = judge.contract.function, diagnosed.where
        if diagnosed.late:
            place = f" in {function}" if len(self.problem.contracts) > 1 else ""
            tried = f"{diagnosed.tried} attempts to name the mistake{place}"
            self._note(f"the time was up after {tried}")
        self._suspect = diagnosed.suspect or self._suspect
        example = self.verdict.counterexample
        if example is None and self.order.shrink:
            seconds = counterexample.SECONDS / (2 if diagnosed.late else 1)
            example = counterexample.smallest(judge, self.order.path, seconds)
        self.verdict = replace(
            self.verdict,
            diagnoses=tuple(
                dict.fromkeys((*self.verdict.diagnoses, *told(diagnosed, self.problem.number)))
            ),
            searched=diagnosed.searched and not diagnosed.late,
            stages=(*self.verdict.stages, *stage_lines(function, where)),
            nearest=(*self.verdict.nearest, *nearest(function, where, self.source)),
            counterexample=example,
        )
        return judge

    def _accepting(self, doctor: Diagnostician) -> Diagnostician:
        """The same beside accepted variants that lead on; then beside the reference, thoroughly."""
        judge, variant = doctor.judge, doctor.accepted_variant()
        if variant is not None:
            again = judge.against(variant.solutions(), judge.findings.choices)
            if again.judge().failed and again.findings.left_out:
                again = again.more_thorough()
                again.judge()
            remarks = tuple(v.remark for _, v in variant.variants)
            self.verdict = replace(self.verdict, remarks=self.verdict.remarks + remarks)
            return Diagnostician(again, known=self._suspect)
        if not judge.findings.left_out:
            return doctor
        thorough = judge.more_thorough()
        if doctor.leading.variants:  # with those it never equals the reference itself
            thorough.findings = replace(judge.findings, left_out=False)
        elif not thorough.judge().failed:
            return Diagnostician(thorough)
        return self._accepting(Diagnostician(thorough, known=self._suspect))

    def _note(self, text: str) -> None:
        self.verdict = replace(self.verdict, notes=(*self.verdict.notes, text))

    def finish(self, verdict: Verdict, started: float) -> Verdict:
        """Add what is known only at the end."""
        printed = bytes(self.main.child.printed).decode("utf-8", "replace")
        notes = tuple(f"isolated only in part: {line}" for line in self._missing_protection())
        return replace(
            verdict,
            printed=printed,
            notes=(*verdict.notes, *notes),
            seconds=time.monotonic() - started,
        )

    def _missing_protection(self) -> list[str]:
        try:
            return self.main.child.missing_protection()
        except Lost:
            return []


def told(diagnosed: Diagnosed, problem: int) -> list[Diagnosis]:
    """What explains a failure, as the report tells it."""
    if diagnosed.cause is not None:
        cause = diagnosed.cause
        return [Diagnosis(cause.id, cause.title, cause.advice, problem)]
    return [
        Diagnosis(pitfall.id, pitfall.title, pitfall.advice, number)
        for number, pitfall in (diagnosed.suspect.pitfalls if diagnosed.suspect else ())
    ]


def stage_lines(function: str, where: Where | None) -> list[StageLine]:
    """The stages as the report shows them, with the steps that lead to where the two part."""
    if where is None:
        return []
    lines = [
        StageLine(function, stage.title, stage.found, stage.line, i == where.parts)
        for i, stage in enumerate(where.stages)
    ]
    if where.follows and lines:
        lines[-1] = replace(lines[-1], after=True)
    if where.parts is not None:
        lines[where.parts : where.parts] = [
            StageLine(function, step.title, step.found, step.line, inside=True)
            for step in where.inside
        ]
    return lines


def nearest(function: str, where: Where | None, source: str) -> list[Nearest]:
    """The value nearest to the expected one, with the text of its line."""
    if where is None or where.difference is None:
        return []
    difference, lines = where.difference, lines_of(source)
    line = difference.line
    code = lines[line - 1].strip()[:120] if 0 < line <= len(lines) else ""
    return [Nearest(function, difference.what, line, code, difference.words)]


def contract_message(contract: Contract, header: dict[str, Any], index: int) -> str:
    """What is wrong with a contract function, as a child tells of all; empty where nothing is."""
    told = header.get("functions")
    found = told[index] if isinstance(told, list) and index < len(told) else {}
    found = found if isinstance(found, dict) else {}
    signature = f"{contract.function}({', '.join(contract.arguments)})"
    if not found.get("found"):
        defined = names_in(found.get("defined"))
        others = f"; the file defines {', '.join(defined[:6])}" if defined else ""
        return f"there is no function {signature}{others}"
    if found.get("arguments") is None or found.get("open"):
        return ""
    arguments, wanted = names_in(found.get("arguments")), list(contract.arguments)
    required = [name for name in names_in(found.get("required")) if name not in wanted]
    if arguments[: len(wanted)] != wanted or required:
        return f"expected {signature}; got ({', '.join(arguments)})"
    return ""

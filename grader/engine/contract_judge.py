"""Judge one contract function of a submission: one check after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from functools import cached_property
from typing import Any

import numpy as np

from grader.engine.beginnings import tables
from grader.engine.cases import STYLES, Draw, ample, draw_arrays
from grader.engine.findings import WEIGHTS, Findings, Trial, title_of
from grader.engine.layout import Kinds
from grader.engine.model_checks import check_gradients, check_transforms, differentiated
from grader.engine.numbers import check_numbers
from grader.engine.own_factors import not_own
from grader.engine.pairing import Choices
from grader.engine.parameters import check_parameters
from grader.engine.piece_kinds import PieceKinds
from grader.engine.process import Lost
from grader.engine.properties import check_properties
from grader.engine.reference import Solutions
from grader.engine.remote import Remote, SubmissionError
from grader.engine.remote_trace import RemoteTrace
from grader.engine.repeats import Elsewhere, check_repeats
from grader.engine.seeds import Seeds, check_seed, far_seed
from grader.engine.shape_check import check_shapes
from grader.engine.traced import Traced
from grader.engine.words import case_words, error_words
from grader.faults import BrokenProblem
from grader.problem import CheckId, Problem
from grader.verdict import Check


class ContractJudge:
    """Runs the checks of one contract, in order.

    Args:
      problem: the problem, and ``index`` which of its contracts.
      solutions: the reference modules.
      draws: hyperparameters to grade on, the simplest first.
      seed: where the random numbers start.
      cases_per_draw: how many sets of weights and inputs each draw gets.

    Attributes:
      in_pieces: whether arrays of the submission that hold several parameters are cut apart.
      thorough: whether layouts are tried that nothing speaks for, which takes long.
      begin_with: choices among layouts that may serve.

    """

    def __init__(
        self,
        problem: Problem,
        index: int,
        solutions: Solutions,
        draws: Sequence[Draw],
        seed: int,
        cases_per_draw: int = len(STYLES),
    ) -> None:
        self.problem = problem
        self.index = index
        self.contract = problem.contracts[index]
        self.solutions = solutions
        self.draws = draws
        self.seed = seed
        self.cases_per_draw = cases_per_draw
        self.findings = Findings()
        self.kinds: Kinds | None = None
        self._their_kinds: Kinds | None = None
        self.in_pieces = False
        self.thorough = False
        self.begin_with: Choices | None = None
        self._done: set[CheckId] = set()
        self._many = len(problem.contracts) > 1

    def start(self, main: Remote, second: Remote | None = None, through_xla: bool = False) -> None:
        """Send every trace request, so that the children work while the judge does.

        A second child takes what is asked of one draw in several ways, and compiles it.  One
        that is alone is asked for it when all else is right.
        """
        self.main, self.second, self.through_xla = main, second, through_xla
        self._helper = second or main
        self.ample = ample(self.draws)
        self._traces = [self._ask(0, self.draws[0])]
        if self.contract.creates_parameters:  # before what would have to be waited for
            generator = np.random.default_rng(self.seed)
            arrays = draw_arrays(self.contract, self.draws[0].sizes, generator)
            self.start_asked = self._traces[0].start_initial(arrays)
        self._traces += [self._ask(i, draw) for i, draw in enumerate(self.draws) if i]
        if second is not None:
            self.at_second = self._simplest(second, 0, drawn=self.contract.creates_parameters)
            self.again  # noqa: B018  asks for it
            if self.contract.creates_parameters:
                self.seeds, self.batched  # noqa: B018  likewise

    @cached_property
    def again(self) -> RemoteTrace:
        """The submission traced at the simplest draw once more."""
        return self._simplest(self._helper, "again", drawn=self.contract.creates_parameters)

    @cached_property
    def seeds(self) -> Seeds:
        """The submission traced with other seeds."""
        return Seeds(self, self._helper)

    @cached_property
    def batched(self) -> RemoteTrace:
        """The submission at the simplest draw, mapped over two inputs."""
        return self._simplest(self._helper, "vmap", batch=2)

    def _simplest(
        self, remote: Remote, what: object, *, batch: int | None = None, drawn: bool = False
    ) -> RemoteTrace:
        sizes = self.draws[0].sizes
        return RemoteTrace.ask(
            remote, self._id(what), self.index, self.seed, sizes, batch, drawn=drawn
        )

    def _ask(self, i: int, draw: Draw) -> RemoteTrace:
        far = self.contract.creates_parameters and i == self.ample != 0
        seed = far_seed(self.seed) if far else self.seed + i
        return RemoteTrace.ask(
            self.main, self._id(i), self.index, seed, draw.sizes, drawn=far or i == 0
        )

    def _id(self, what: object) -> str:
        return f"{self.index}/{what}"

    def against(self, solutions: Solutions, choices: Choices | None = None) -> ContractJudge:
        """A judge of the same submission, with other solutions as the reference.

        ``choices`` are those to begin with, where some are known to serve.
        """
        other = copy(self)
        other.solutions, other.findings, other._done = solutions, Findings(), set()
        other.begin_with = choices
        return other

    def more_thorough(self) -> ContractJudge:
        """A judge of the same submission that tries the layouts that this one left out."""
        other = self.against(self.solutions)
        other.thorough = True
        return other

    def judge(self) -> Findings:
        """All checks."""
        try:
            self._judge()
        except SubmissionError as error:
            self._fail_with(error)
        except Lost as lost:
            self._check_lost(lost)
        except Exception as error:
            # Whatever the child answered that the judge did not expect: no pass, but a verdict.
            id: CheckId = next((i for i in self._ids() if i not in self._done), "runs")
            self.findings.failed = self.findings.failed or id
            what = f"the grader itself could not find out ({type(error).__name__}: {error})"
            if isinstance(error, BrokenProblem):
                what = f"the problem is at fault, not the answer: {error}"
            self._add(id, "error", what[:500])
        self._skip_rest()
        return self.findings

    def _judge(self) -> None:
        trials = self.findings.trials
        trials.append(self._trial(0))
        self.passed("implemented")
        self.elsewhere = Elsewhere(self, trials[0])
        for i in range(1, len(self.draws)):
            trials.append(self._trial(i))
        self.passed("runs")
        if check_parameters(self) and check_shapes(self):
            check_numbers(self)
            check_properties(self)
            check_repeats(self)
        if self.contract.creates_parameters and self.findings.failed != "parameters":
            if self.findings.failed is None:
                trials[self.ample].submission.prepare_gradients()
                trials[self.ample].reference.gradient_program  # noqa: B018  a child compiles
            check_seed(self)
            check_transforms(self)
        if self.findings.failed is None and differentiated(self.problem, self.contract):
            check_gradients(self)

    def _trial(self, i: int) -> Trial:
        draw, seed, submission = self.draws[i], self.seed + i, self._traces[i]
        reference = self.reference(draw, seed)
        if i == 0:
            self.kinds = Kinds(reference.leaves)
            self._their_kinds = self._kinds_of(submission)
        if self._their_kinds and (i or self._their_kinds.refuses_factors):
            submission.kinds = self._their_kinds
        submission.outputs  # noqa: B018  an error while tracing shows here
        return Trial(draw, seed, reference, submission)

    def _kinds_of(self, submission: RemoteTrace) -> Kinds:
        """How the parameters of the submission start, as the simplest draw shows it."""
        leaves = submission.leaves
        if all(leaf.factor == 1 or not leaf.size for leaf in leaves):
            return Kinds(leaves)
        return Kinds(leaves, not_own(leaves, self._start_values()))

    def _start_values(self) -> list[np.ndarray]:
        """How the parameters of the submission start on the simplest draw."""
        leaves = self._traces[0].leaves
        values = self.start_asked.result()[1] if leaves else []
        if [value.shape for value in values] != [leaf.shape for leaf in leaves]:
            raise Lost("garbage", "the process answered with garbage")
        return values

    def cut(self, trace: RemoteTrace) -> None:
        """Tell the pieces of arrays of the submission apart, from now on."""
        trace.cut(self._piece_kinds)

    @cached_property
    def _piece_kinds(self) -> PieceKinds:
        return PieceKinds(self._traces[0].as_cut, self._start_values())

    def planned_trace(self, i: int) -> RemoteTrace:
        """The submission's trace at the ``i``-th draw."""
        return self._traces[i]

    def reference(self, draw: Draw, seed: int) -> Traced:
        """The reference traced at a draw."""
        return self.solutions.trace(
            self.problem.number, self.contract, seed, draw.sizes, self.kinds
        )

    def submitted(self, draw: Draw, seed: int, name: str) -> RemoteTrace:
        """The submission traced at a draw that was not planned."""
        trace = RemoteTrace.ask(self.main, self._id(name), self.index, seed, draw.sizes)
        trace.kinds = self._their_kinds
        if self.in_pieces:
            self.cut(trace)
        return trace

    # --- bookkeeping -----------------------------------------------------------------------

    def _title(self, id: CheckId) -> str:
        shapes = len(self.draws)
        title = title_of(id, self.contract, shapes * self.cases_per_draw, shapes)
        return f"{self.contract.function}: {title}" if self._many else title

    def _add(self, id: CheckId, status: str, message: str = "", limits: str = "") -> None:
        name, title = f"{self.contract.function}.{id}" if self._many else id, self._title(id)
        weight = WEIGHTS[id] * self.contract.weight
        self.findings.checks.append(Check(name, title + limits, status, message, weight))  # type: ignore[arg-type]
        self._done.add(id)

    def passed(self, id: CheckId, limits: str = "") -> None:
        """The check passed; ``limits`` is what its title then claims too much, in words."""
        self._add(id, "passed", limits=limits)

    def fail(self, id: CheckId, message: str) -> bool:
        """The check failed; returns False."""
        self._add(id, "failed", message)
        self.findings.failed = self.findings.failed or id
        return False

    def _fail_with(self, error: SubmissionError) -> None:
        if error.kind == "not implemented":
            self.fail("implemented", f"nothing yet: {self._who_raises(error)} NotImplementedError")
            return
        if "implemented" not in self._done:
            self.passed("implemented")
        self.findings.error = error.error
        id = next(i for i in self._ids() if i not in self._done)
        words = error_words(error.error)
        if error.kind == "not an array":
            words = str(error.error.get("message"))
        trial = len(self.findings.trials)
        if id == "runs" and trial < len(self.draws):
            words += f"\n(for {case_words(self.draws[trial].fields)})"
        self.fail(id, words)

    def _who_raises(self, error: SubmissionError) -> str:
        """The beginning of a sentence about the error of a stub."""
        frames = error.error.get("frames") or [{}]
        inner = frames[-1].get("function") if isinstance(frames[-1], dict) else ""
        others = [c.function for c in self.problem.contracts if c is not self.contract]
        if inner in others:
            return f"the function calls {inner}, which raises"
        return "the function raises"

    def _check_lost(self, lost: Lost) -> None:
        id: CheckId = next((i for i in self._ids() if i not in self._done), "runs")
        late = lost.reason == "timeout"
        what = "it took too long" if late else str(lost)
        more = " (--timeout gives it more time)" if late else ""
        self.fail(id, f"{what}{self._at(lost.asked)}; the grader stopped waiting here{more}")

    def _at(self, asked: Mapping[str, Any]) -> str:
        """Which case a request was about."""
        doing = {"trace": "tracing", "compile": "compiling", "gradients": "differentiating"}
        if asked.get("do") not in (*doing, "run", "record", "initial", "starts"):
            return ""
        index, _, which = str(asked.get("id")).partition("/")
        if index != str(self.index):
            names = {str(i): c.function for i, c in enumerate(self.problem.contracts)}
            return f" with {names.get(index, 'another')}, before this function had its turn"
        draw = self.draws[int(which) if which.isdecimal() else 0]
        return f", {doing.get(asked['do'], 'running')} it for {case_words(draw.fields)}"

    def _ids(self) -> list[CheckId]:
        model_only = ("parameters", "seed", "initial", "transforms")
        has_tables = bool(self.findings.trials) and bool(tables(self))
        return [
            id
            for id in WEIGHTS
            if (self.contract.creates_parameters or id not in model_only)
            and (id != "initial" or has_tables)
            and (id != "gradients" or differentiated(self.problem, self.contract))
            and (id != "properties" or self.contract.properties)
        ]

    def _skip_rest(self) -> None:
        failed = self.findings.failed
        for id in self._ids():
            if id not in self._done:
                self._add(id, "skipped", f"needs '{failed}' to pass first")
        order = list(WEIGHTS)
        self.findings.checks.sort(key=lambda check: order.index(check.id.rsplit(".", 1)[-1]))  # type: ignore[arg-type]

"""Judge one contract function of a submission: one check after the other."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field

import numpy as np

from grader.engine.align import Alignment, Case, align, settle
from grader.engine.cases import STYLES, Draw, draw_arrays, draw_weights
from grader.engine.compare import TOLERANCE, all_close, close, relative_gap, worst
from grader.engine.layout import Kinds
from grader.engine.process import Lost
from grader.engine.reference import Solutions
from grader.engine.remote import Remote, RemoteTrace, SubmissionError, Ticket
from grader.engine.suspects import stages_of
from grader.engine.traced import Output, Traced
from grader.engine.transplant import Choices, Match, Mismatch, match
from grader.engine.words import case_words, error_words, mismatch_words, shape_words
from grader.problem import CheckId, Problem
from grader.verdict import Check

WEIGHTS: dict[CheckId, float] = {
    "implemented": 0.0,
    "runs": 1.0,
    "parameters": 1.5,
    "shape": 1.0,
    "finite": 0.5,
    "numbers": 4.0,
    "seed": 1.0,
    "initial": 0.5,
    "transforms": 1.0,
    "gradients": 1.0,
}
TABLE_STD = 0.02
"""How learned tokens and positions start (catalogue: ``normal(0.02)``), within a factor of 4."""
_MOST_REALIGNMENTS = 6
_XLA_TOLERANCE = 2e-3
"""float32 through XLA against float64 through NumPy, on the smallest case."""


@dataclass
class Trial:
    """One draw: both traces, the pairing of their parameters, and the cases run on it."""

    draw: Draw
    seed: int
    reference: Traced
    submission: RemoteTrace
    matched: Match | None = None
    cases: list[Case] = field(default_factory=list)
    actual: list[list[np.ndarray]] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether the submission agrees with the reference on every case of this draw."""
        pairs = zip(self.actual, self.cases, strict=True)
        return all(all_close(actual, case.expected) for actual, case in pairs)


@dataclass
class Findings:
    """What the judging of one contract leaves for the diagnosis and the report."""

    checks: list[Check] = field(default_factory=list)
    failed: CheckId | None = None
    error: dict[str, object] | None = None
    failing: tuple[Trial, int] | None = None
    choices: Choices = field(default_factory=Choices)
    trials: list[Trial] = field(default_factory=list)
    mismatch: Mismatch | None = None
    cases: int = 0
    remarks: list[str] = field(default_factory=list)


class ContractJudge:
    """Runs the checks of one contract, in order.

    Args:
      problem: the problem, and ``index`` which of its contracts.
      solutions: the reference modules.
      draws: hyperparameters to grade on, the simplest first.
      seed: where the random numbers start.
      cases_per_draw: how many sets of weights and inputs each draw gets.

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
        self._done: set[CheckId] = set()
        self._many = len(problem.contracts) > 1

    def start(self, main: Remote, compiler: Remote | None) -> None:
        """Send every trace request, so that the child works while the judge does."""
        self.main = main
        self._traces = [
            RemoteTrace.ask(main, self._id(i), self.index, self.seed + i, draw.sizes, drawn=not i)
            for i, draw in enumerate(self.draws)
        ]
        simplest = self.draws[0].sizes
        if self.contract.creates_parameters:
            self._other_seed, self._again = (
                RemoteTrace.ask(main, self._id(name), self.index, seed, simplest, drawn=True)
                for name, seed in (("other", self.seed + 1000), ("again", self.seed))
            )
            self._batched = RemoteTrace.ask(
                main, self._id("vmap"), self.index, self.seed, simplest, 2
            )
        self._compiler = compiler
        if compiler is not None:
            self._compiled_trace = RemoteTrace.ask(
                compiler, self._id(0), self.index, self.seed, simplest
            )
        self._compiled: Ticket | None = None

    def _id(self, what: object) -> str:
        return f"{self.index}/{what}"

    def against(self, solutions: Solutions) -> ContractJudge:
        """A judge of the same submission, with other solutions as the reference."""
        other = copy(self)
        other.solutions, other.findings, other._done = solutions, Findings(), set()
        return other

    def judge(self) -> Findings:
        """All checks."""
        try:
            self._judge()
        except SubmissionError as error:
            self._fail_with(error)
        except Lost as lost:
            self._check_lost(lost)
        self._skip_rest()
        return self.findings

    def _judge(self) -> None:
        trials = self.findings.trials
        trials.append(self._trial(0))
        self._pass("implemented")
        self._request_compilation(trials[0])
        for i in range(1, len(self.draws)):
            trials.append(self._trial(i))
        self._pass("runs")
        if self._parameters() and self._shapes():
            self._numbers()
        if self.contract.creates_parameters and self.findings.failed != "parameters":
            self._seed()
            self._transforms()
        if self.findings.failed is None:
            self._gradients()

    def _trial(self, i: int) -> Trial:
        draw, seed, submission = self.draws[i], self.seed + i, self._traces[i]
        reference = self.reference(draw, seed)
        if i == 0:
            self.kinds = Kinds(reference.leaves)
            self._their_kinds = Kinds(submission.leaves)
        else:
            submission.kinds = self._their_kinds
        submission.outputs  # noqa: B018  an error while tracing shows here
        return Trial(draw, seed, reference, submission)

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
        return trace

    # --- parameters ------------------------------------------------------------------------

    def _parameters(self) -> bool:
        apart: list[tuple[Trial, Mismatch]] = []
        for trial in self.findings.trials:
            reference, submission = trial.reference, trial.submission
            foreign = submission.collections
            if foreign and not reference.collections:
                names = ", ".join(f"'{name}'" for name in foreign)
                return self._fail(
                    "parameters",
                    f"the model creates variables in the collection {names}; "
                    "this problem has parameters only (no batch statistics, no caches)",
                )
            result = match(reference.leaves, submission.leaves)
            if isinstance(result, Mismatch):
                apart.append((trial, result))
                continue
            trial.matched = result
        if apart:
            trial, mismatch = min(apart, key=lambda item: item[0].draw.weight)
            self.findings.mismatch = mismatch
            self.findings.failing = (trial, 0)
            words = mismatch_words(mismatch, self.problem, trial.draw.sizes)
            return self._fail("parameters", f"{words}\n(for {case_words(trial.draw.fields)})")
        if self.contract.creates_parameters:
            self._pass("parameters")
        return True

    # --- shape and dtype -------------------------------------------------------------------

    def _shapes(self) -> bool:
        for trial in self.findings.trials:
            message = self._shape_message(trial)
            if message:
                self.findings.failing = (trial, 0)
                return self._fail("shape", message)
        self._pass("shape")
        return True

    def _shape_message(self, trial: Trial) -> str:
        wanted, came = trial.reference.outputs, trial.submission.outputs
        symbols = self.problem.symbols(trial.draw.sizes)

        def words(outputs: Sequence[Output]) -> str:
            shapes = [shape_words(output.shape, symbols) for output in outputs]
            return shapes[0] if len(shapes) == 1 else f"{len(shapes)} arrays: {', '.join(shapes)}"

        narrow = trial.submission.narrow
        if narrow and narrow != trial.reference.narrow:
            return f"values on the way are {narrow}; everything here is float32"
        if len(wanted) != len(came):
            return f"expected {words(wanted)}; got {words(came)}"
        for ours, theirs in zip(wanted, came, strict=True):
            if ours.shape != theirs.shape:
                expected = shape_words(ours.shape, symbols)
                got = shape_words(theirs.shape, symbols)
                return f"{ours.label}: expected shape {expected}; got {got}"
            if ours.dtype != theirs.dtype:
                return f"{ours.label}: expected dtype {ours.dtype}; got {theirs.dtype}"
            if len(wanted) > len(self.contract.outputs) and ours.label != theirs.label:
                return f"expected a result with {ours.label}; got {theirs.label} in its place"
        return ""

    # --- numbers ---------------------------------------------------------------------------

    def _numbers(self) -> None:
        trials = self.findings.trials
        for trial in trials:
            trial.cases = [self._case(trial, style) for style in range(self.cases_per_draw)]
        self.findings.choices = settle(
            [
                (trial.reference, trial.submission, trial.cases[0])
                for trial in self._telling(trials)
            ],
            stages_of(self.problem),
        )
        self._run(trials, self.findings.choices)
        self._settle_the_rest(trials)
        self.findings.cases = sum(len(trial.cases) for trial in trials)
        self._finite()
        self._equal()

    def _run(self, trials: Sequence[Trial], choices: Choices) -> None:
        """Evaluate the submission on every case of these draws."""
        tickets = []
        for trial in trials:
            matched = match(trial.reference.leaves, trial.submission.leaves, choices)
            assert isinstance(matched, Match)
            trial.matched = matched
            tickets.append(
                [
                    trial.submission.start_run(matched.weights(case.weights), case.arrays)
                    for case in trial.cases
                ]
            )
        for trial, asked in zip(trials, tickets, strict=True):
            trial.actual = [ticket.result()[1] for ticket in asked]

    def _settle_the_rest(self, trials: list[Trial]) -> None:
        """Before a draw counts as wrong, try the layouts that the settled draws left alike."""
        for _ in range(_MOST_REALIGNMENTS):
            wrong = [trial for trial in trials if not trial.equal]
            if not wrong or len(wrong) == len(trials):
                return
            trial, choices = wrong[0], self.findings.choices
            stages = stages_of(self.problem)
            found = align(trial.reference, trial.submission, trial.cases[0], stages, choices)
            if not isinstance(found, Alignment) or not found.equal:
                return
            if found.choices.orders == choices.orders:  # which array is which, on this draw only
                self._run([trial], found.choices)
            else:
                self.findings.choices = found.choices
                self._run(wrong, found.choices)

    def _telling(self, trials: list[Trial]) -> list[Trial]:
        """The simplest draw, and the one that leaves the fewest layouts alike."""

        def simple_fields(trial: Trial) -> int:
            fields = self.problem.fields
            return sum(trial.draw.fields[name] == choices[0] for name, choices in fields.items())

        rest = sorted(trials[1:], key=lambda t: (simple_fields(t), t.draw.weight))
        return [trials[0], *rest[:1]]

    def _case(self, trial: Trial, style: int) -> Case:
        generator = np.random.default_rng([trial.seed, style, self.index])
        name = STYLES[style % len(STYLES)]
        weights = draw_weights(trial.reference.leaves, generator, name)
        arrays = draw_arrays(self.contract, trial.draw.sizes, generator)
        return Case(weights, arrays, trial.reference.run(weights, arrays))

    def _finite(self) -> None:
        for trial in self.findings.trials:
            for number, (case, actual) in enumerate(zip(trial.cases, trial.actual, strict=True)):
                for expected, value in zip(case.expected, actual, strict=False):
                    if np.isfinite(expected).all() and not np.isfinite(value).all():
                        kind = "NaN" if np.isnan(value).any() else "an infinity"
                        self.findings.failing = self.findings.failing or (trial, number)
                        self._fail(
                            "finite", f"{kind} comes out for {case_words(trial.draw.fields)}"
                        )
                        return
        self._pass("finite")

    def _equal(self) -> None:
        wrong = [
            (trial, number)
            for trial in self.findings.trials
            for number, case in enumerate(trial.cases)
            if not all_close(trial.actual[number], case.expected)
        ]
        if not wrong:
            self._pass("numbers")
            return
        trial = min((trial for trial, _ in wrong), key=lambda trial: trial.draw.weight)
        number = max(
            (n for t, n in wrong if t is trial),
            key=lambda n: relative_gap(trial.actual[n], trial.cases[n].expected),
        )
        self.findings.failing = (trial, number)
        gap, where = 0.0, ""
        for output, value, expected in zip(
            trial.reference.outputs,
            trial.actual[number],
            trial.cases[number].expected,
            strict=False,
        ):
            if value.shape == expected.shape and not close(value, expected):
                gap, index = worst(value, expected)
                where = f"{output.label}{list(index)}" if index else output.label
                break
        self._fail(
            "numbers",
            f"{len(wrong)} of {self.findings.cases} cases differ from the reference; "
            f"in the smallest, {where} is off by {gap:.3g}",
        )

    # --- seed, transforms, gradients ---------------------------------------------------------

    def _seed(self) -> None:
        arrays = draw_arrays(self.contract, self.draws[0].sizes, np.random.default_rng(self.seed))
        own = self.findings.trials[0].submission
        asked = [
            self.main.ask("initial", arrays, id=trace.id)
            for trace in (own, self._other_seed, self._again)
        ]
        first, other, again = (ticket.result()[1] for ticket in asked)
        random = [leaf.index for leaf in own.leaves if leaf.kind == "random" and leaf.size]
        if len(first) != len(own.leaves) or len(other) != len(first) or len(again) != len(first):
            self._fail("seed", "the number of parameters depends on the seed")
        elif not all(np.array_equal(a, b) for a, b in zip(first, again, strict=True)):
            self._fail("seed", "the same seed gave different parameters when asked again")
        elif random and all(np.array_equal(first[i], other[i]) for i in random):
            self._fail("seed", "another seed gives the same parameters; is `seed` used?")
        elif any(np.array_equal(first[i], other[i]) for i in random):
            fixed = next(i for i in random if np.array_equal(first[i], other[i]))
            self._fail("seed", f"'{own.leaves[fixed].path}' does not depend on the seed")
        elif not self._only_through_parameters():
            self._fail("seed", "with the same parameters, the result still depends on the seed")
        else:
            self._pass("seed")
        self._initial([*first], [*other])

    def _initial(self, first: list[np.ndarray], other: list[np.ndarray]) -> None:
        """Whether tokens and tables start as those of the reference do."""
        trial = self.findings.trials[0]
        if trial.matched is None or not self._tables():
            return
        wrong, odd = [], []
        for leaf, slots in trial.matched.pieces:
            if not all(slot.members[0] in self._tables() for slot in slots):
                continue
            spread = float(np.std([*first[leaf.index].ravel(), *other[leaf.index].ravel()]))
            zeros = leaf.kind == "zeros"
            embedded = leaf.path.rsplit("/", 1)[-1] == "embedding"  # nn.Embed has its own default
            if not TABLE_STD / 4 <= spread <= TABLE_STD * 4 and not zeros and not embedded:
                wrong.append(f"'{leaf.path}' starts with a standard deviation of {spread:.2g}")
            elif zeros or not TABLE_STD / 2 <= spread <= TABLE_STD * 2:
                start = "zeros" if zeros else f"a standard deviation of {spread:.2g}"
                odd.append(f"'{leaf.path}' starts with {start}; the text asks for {TABLE_STD}")
        self.findings.remarks += odd
        if wrong:
            self._fail("initial", "; ".join(wrong) + f"; the text asks for {TABLE_STD}")
        else:
            self._pass("initial")

    def _tables(self) -> set[int]:
        """The reference's learned tokens and tables, which start as normal(0.02)."""
        leaves = self.findings.trials[0].reference.leaves
        return {
            leaf.index
            for leaf in leaves
            if leaf.kind == "random" and leaf.role in ("add", "token") and leaf.size
        }

    def _only_through_parameters(self) -> bool:
        trial = self.findings.trials[0]
        generator = np.random.default_rng([self.seed, 77])
        weights = draw_weights(trial.submission.leaves, generator, "ordinary")
        arrays = draw_arrays(self.contract, trial.draw.sizes, generator)
        runs = [
            trace.start_run(weights, arrays)
            for trace in (trial.submission, self._other_seed, self._again)
        ]
        first, *others = (run.result()[1] for run in runs)
        return all(all_close(other, first) for other in others)

    def _request_compilation(self, trial: Trial) -> None:
        """Have the second child compile the simplest draw while the rest is being worked out."""
        if self._compiler is None:
            return
        generator = np.random.default_rng([self.seed, 78])
        self._xla_weights = draw_weights(trial.submission.leaves, generator, "ordinary")
        self._xla_arrays = draw_arrays(self.contract, trial.draw.sizes, generator)
        self._compiled = self._compiler.ask(
            "compile",
            [*self._xla_weights, *self._xla_arrays],
            id=self._compiled_trace.id,
            weights=len(self._xla_weights),
        )

    def _transforms(self) -> None:
        trial = self.findings.trials[0]
        try:
            message = self._vmap_message(trial)
        except SubmissionError as error:
            message = "jax.vmap over a batch of inputs fails\n" + error_words(error.error)
        try:
            message = message or self._jit_message(trial)
        except SubmissionError as error:
            message = "jax.jit fails\n" + error_words(error.error)
        if message:
            self._fail("transforms", message)
        else:
            self._pass("transforms")

    def _vmap_message(self, trial: Trial) -> str:
        generator = np.random.default_rng([self.seed, 79])
        weights = draw_weights(trial.submission.leaves, generator, "ordinary")
        pair = [draw_arrays(self.contract, trial.draw.sizes, generator) for _ in range(2)]
        stacked = [np.stack(both) for both in zip(*pair, strict=True)]
        self._batched.outputs  # noqa: B018  an error while tracing shows here
        singles = [trial.submission.start_run(weights, arrays) for arrays in pair]
        together = self._batched.run(weights, stacked)
        apart = [np.stack(both) for both in zip(*(s.result()[1] for s in singles), strict=True)]
        if all_close(together, apart):
            return ""
        return "jax.vmap over a batch gives other numbers than one input at a time"

    def _jit_message(self, trial: Trial) -> str:
        if self._compiled is None:
            return ""
        plain = trial.submission.run(self._xla_weights, self._xla_arrays)
        _, compiled = self._compiled.result()
        if all_close(compiled, plain, _XLA_TOLERANCE):
            return ""
        return "the compiled function (jax.jit) gives other numbers than the plain call"

    def _gradients(self) -> None:
        if not self.contract.creates_parameters:
            return
        trial = self.findings.trials[0]
        assert trial.matched is not None
        case = trial.cases[0]
        generator = np.random.default_rng([self.seed, 80])
        cotangents = [generator.normal(size=value.shape) for value in case.expected]
        weights = trial.matched.weights(case.weights)
        ticket = trial.submission.start_gradients(weights, case.arrays, cotangents)
        expected = trial.matched.weights(
            trial.reference.gradients(case.weights, case.arrays, cotangents)
        )
        _, actual = ticket.result()
        for leaf, ours, theirs in zip(trial.submission.leaves, expected, actual, strict=False):
            if not close(theirs, ours, 1e3 * TOLERANCE) and np.abs(ours).max() > 1e-9:
                state = "gets no gradient" if not theirs.any() else "gets a wrong gradient"
                self._fail("gradients", f"the parameter '{leaf.path}' {state}")
                return
        self._pass("gradients")

    # --- bookkeeping -----------------------------------------------------------------------

    def _title(self, id: CheckId) -> str:
        shapes, cases = len(self.draws), len(self.draws) * self.cases_per_draw
        titles: dict[CheckId, str] = {
            "implemented": "something is implemented",
            "runs": "it runs",
            "parameters": "it creates the right parameters",
            "shape": "shape and dtype are right",
            "finite": "no NaN, no infinity",
            "numbers": f"the numbers are right ({cases} cases, {shapes} shapes)",
            "seed": "the seed matters, and only through the parameters",
            "initial": f"learned tokens and positions start as normal({TABLE_STD})",
            "transforms": "jax.jit and jax.vmap agree with the plain call",
            "gradients": "every parameter gets its gradient",
        }
        return f"{self.contract.function}: {titles[id]}" if self._many else titles[id]

    def _add(self, id: CheckId, status: str, message: str = "") -> None:
        name = f"{self.contract.function}.{id}" if self._many else id
        weight = WEIGHTS[id] * self.contract.weight
        self.findings.checks.append(Check(name, self._title(id), status, message, weight))  # type: ignore[arg-type]
        self._done.add(id)

    def _pass(self, id: CheckId) -> None:
        self._add(id, "passed")

    def _fail(self, id: CheckId, message: str) -> bool:
        self._add(id, "failed", message)
        self.findings.failed = self.findings.failed or id
        return False

    def _fail_with(self, error: SubmissionError) -> None:
        if error.kind == "not implemented":
            self._fail("implemented", "nothing yet: the function raises NotImplementedError")
            return
        if "implemented" not in self._done:
            self._pass("implemented")
        self.findings.error = error.error
        id = next(i for i in self._ids() if i not in self._done)
        words = error_words(error.error)
        if error.kind == "not an array":
            words = str(error.error.get("message"))
        trial = len(self.findings.trials)
        if id == "runs" and trial < len(self.draws):
            words += f"\n(for {case_words(self.draws[trial].fields)})"
        self._fail(id, words)

    def _check_lost(self, lost: Lost) -> None:
        id: CheckId = next((i for i in self._ids() if i not in self._done), "runs")
        what = "it took too long" if lost.reason == "timeout" else str(lost)
        self._fail(id, f"{what}; the grader stopped waiting here")

    def _ids(self) -> list[CheckId]:
        model_only = ("parameters", "seed", "initial", "transforms", "gradients")
        tables = bool(self.findings.trials) and bool(self._tables())
        return [
            id
            for id in WEIGHTS
            if (self.contract.creates_parameters or id not in model_only)
            and (id != "initial" or tables)
        ]

    def _skip_rest(self) -> None:
        failed = self.findings.failed
        for id in self._ids():
            if id not in self._done:
                self._add(id, "skipped", f"needs '{failed}' to pass first")
        order = list(WEIGHTS)
        self.findings.checks.sort(key=lambda check: order.index(check.id.rsplit(".", 1)[-1]))  # type: ignore[arg-type]

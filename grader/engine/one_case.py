"""Run a submission and the reference on one given case, with all stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grader.engine.align import Alignment, Case, align
from grader.engine.blocks_used import choose
from grader.engine.cases import ALL_STYLES, Draw, draw_arrays, draw_weights, make_draw
from grader.engine.contract_judge import ContractJudge
from grader.engine.grading import contract_message, texts
from grader.engine.handed_in import read_source
from grader.engine.judge import Order, open_children
from grader.engine.parameters import is_cut
from grader.engine.process import Lost
from grader.engine.reference import unedited
from grader.engine.remote import Remote, SubmissionError
from grader.engine.stages import (
    StageFinding,
    StageValue,
    find_stages,
    marks,
    needed_for,
    open_stages,
    stage_values,
    with_rows_told,
)
from grader.engine.transplant import Mismatch, match
from grader.engine.words import error_words, mismatch_words
from grader.problem import Problem


class BadCase(ValueError):
    """The text given to ``--case`` describes no case of this problem."""


@dataclass
class CaseView:
    """What one case shows."""

    inputs: dict[str, np.ndarray]
    stages: list[StageValue] = field(default_factory=list)
    findings: list[StageFinding] = field(default_factory=list)
    still_open: list[int] = field(default_factory=list)
    outputs: list[tuple[str, np.ndarray, np.ndarray | None]] = field(default_factory=list)
    message: str = ""
    reference_values: list[np.ndarray] = field(default_factory=list)
    submission_values: list[np.ndarray] = field(default_factory=list)


def read_case(problem: Problem, told: Any) -> tuple[Draw, int, int]:
    """The draw, the seed and the style that a ``--case`` names.

    Raises:
      BadCase: a field is missing, unknown or of no allowed value.

    """
    if not isinstance(told, dict):
        raise BadCase("a case is a JSON object, as the report prints it")
    extra = {name for corner in problem.corners for name in corner} & set(told)
    fields = {name: told.get(name) for name in {**problem.fields, **dict.fromkeys(extra)}}
    for name, value in fields.items():
        if type(value) not in (int, float) or isinstance(value, bool):
            raise BadCase(f"the case has no number for '{name}'")
        least = 0 if 0 in problem.fields.get(name, ()) else 1
        if type(value) is int and not least <= value <= 64:
            raise BadCase(f"'{name}' must lie between {least} and 64")
    unknown = set(told) - set(fields) - {"seed", "style", "function"}
    if unknown:
        raise BadCase(f"problem {problem.number} has no '{sorted(unknown)[0]}'")
    seed, style = told.get("seed", 0), told.get("style", ALL_STYLES[0])
    if type(seed) is not int or seed < 0 or style not in ALL_STYLES:
        raise BadCase(f"'seed' is a number from 0 and 'style' one of {', '.join(ALL_STYLES)}")
    return make_draw(problem, fields), seed, ALL_STYLES.index(style)


def _contract_of(problem: Problem, told: Mapping[str, Any]) -> int:
    functions = [contract.function for contract in problem.contracts]
    wanted = told.get("function", functions[0])
    if wanted not in functions:
        raise BadCase(f"'function' is one of {', '.join(functions)}")
    return functions.index(wanted)


def view_case(
    order: Order,
    told: Mapping[str, Any],
    draw_image: Callable[[tuple[int, ...]], np.ndarray] | None = None,
) -> CaseView:
    """Both programs on one case; ``draw_image`` gives the input called ``image`` for its shape.

    Raises:
      BadCase: ``told`` describes no case.
      Unreadable: the file cannot be read.

    """
    draw, seed, style = read_case(order.problem, told)
    contract = _contract_of(order.problem, told)
    source = read_source(order.path, order.problem.number)
    with open_children(order, 1) as children:
        remote = Remote(children[0])
        blocks = texts(choose(order.problem, order.has_passed))
        loading = remote.ask("load", source=source, filename=str(order.path), blocks=blocks)
        judge = ContractJudge(order.problem, contract, unedited(), [draw], seed)
        reference = judge.solutions.trace(order.problem.number, judge.contract, seed, draw.sizes)
        generator = np.random.default_rng([seed, style, contract])
        weights = draw_weights(reference.leaves, generator, ALL_STYLES[style])
        arrays = draw_arrays(judge.contract, draw.sizes, generator, ALL_STYLES[style])
        if draw_image is not None:
            named = zip(reference.array_names, arrays, strict=True)
            arrays = [draw_image(a.shape) if name == "image" else a for name, a in named]
        expected, seen = reference.run_recorded(weights, arrays)
        stages = stage_values(order.problem.stages, seen, reference.stage_ancestors)
        case = Case(weights, arrays, expected)
        view = CaseView(dict(zip(reference.array_names, arrays, strict=True)), stages)
        view.reference_values = [item.value for item in seen]
        view.findings = [StageFinding(stage.title, False) for stage in stages]
        view.still_open = list(range(len(stages)))
        labels = [output.label for output in reference.outputs]
        view.outputs = [(name, value, None) for name, value in zip(labels, expected, strict=True)]
        try:
            header, _ = loading.result()
            view.message = contract_message(judge.contract, header, contract)
            if not view.message:
                judge.start(remote)
                _add_submission(view, judge, case, labels, reference)
        except SubmissionError as error:
            view.message = error_words(error.error)
        except Lost as lost:
            view.message = str(lost)
    return view


def _add_submission(
    view: CaseView, judge: ContractJudge, case: Case, labels: list[str], reference: Any
) -> None:
    submission = judge.planned_trace(0)
    aligned = align(reference, submission, case, judge.problem.stages)
    if isinstance(aligned, Mismatch) or not aligned.equal:
        judge.cut(submission)
        more = isinstance(aligned, Mismatch) or is_cut(submission)
        in_pieces = align(reference, submission, case, judge.problem.stages) if more else aligned
        if isinstance(in_pieces, Alignment) and (isinstance(aligned, Mismatch) or in_pieces.equal):
            aligned = in_pieces
        else:
            submission.pieces = None
    if isinstance(aligned, Mismatch):
        view.message = mismatch_words(aligned, judge.problem, judge.draws[0].sizes)
        return
    assert isinstance(aligned, Alignment)
    matched = match(reference.leaves, submission.pairable, aligned.choices)
    assert not isinstance(matched, Mismatch)
    outputs, values, lines = submission.record(matched.weights(case.weights), case.arrays)
    view.submission_values = values
    found = find_stages(view.stages, values, lines, marks(values))
    view.findings = with_rows_told(found, view.stages, values)
    needed = needed_for(reference.output_ancestors, case.expected, outputs)
    view.still_open = open_stages(view.stages, view.findings, needed)
    view.outputs = list(zip(labels, case.expected, outputs, strict=False))

"""The check of what comes back: how many arrays, in which form, of which shape and type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from grader.engine.findings import Trial
from grader.engine.told import MOST_OF_A_FORM, line_of
from grader.engine.traced import Output
from grader.engine.words import axes_words, case_words, common_names

if TYPE_CHECKING:
    from grader.engine.contract_judge import ContractJudge

_SHOWN_OF_A_FORM = 200


def check_shapes(judge: ContractJudge) -> bool:
    """Compare what comes back at every draw; say for which sizes where it is not for all."""
    trials = judge.findings.trials
    told = [(trial, _message(judge, trial)) for trial in trials]
    wrong = [(trial, message) for trial, message in told if message]
    if not wrong:
        judge.passed("shape")
        return True
    trial, message = min(wrong, key=lambda item: item[0].draw.plainness)
    judge.findings.failing = (trial, 0)
    if len(wrong) < len(trials) or len({message for _, message in wrong}) > 1:
        message += f"\n(for {case_words(trial.draw.fields)})"
    return judge.fail("shape", message)


def cause_is_told(trial: Trial) -> bool:
    """Whether the words of the check name the mistake: another shape may have many causes."""
    shapes = [[o.shape for o in t.outputs] for t in (trial.reference, trial.submission)]
    return bool(_narrow(trial)) or trial.submission.form != _form(trial) or shapes[0] == shapes[1]


def _narrow(trial: Trial) -> str:
    """A type in which the submission computes, other than the reference, and too narrow."""
    narrow = trial.submission.narrow
    return narrow if narrow and narrow != trial.reference.narrow else ""


def _form(trial: Trial) -> str:
    return line_of(trial.reference.form, MOST_OF_A_FORM)


def _message(judge: ContractJudge, trial: Trial) -> str:
    wanted, came = trial.reference.outputs, trial.submission.outputs
    if _narrow(trial):
        return f"values on the way are {_narrow(trial)}; everything here is float32"
    if len(wanted) != len(came):
        expected, got = _all_words(judge, trial, wanted), _all_words(judge, trial, came)
        return f"expected {expected}; got {got}"
    if len(wanted) > len(judge.contract.outputs):
        for ours, theirs in zip(wanted, came, strict=True):
            if ours.label != theirs.label:
                return f"expected a result with {ours.label}; got {theirs.label} in its place"
    if trial.submission.form != _form(trial):
        return _form_message(judge, trial)
    for i, (ours, theirs) in enumerate(zip(wanted, came, strict=True)):
        if ours.shape != theirs.shape:
            expected, got = _words(judge, trial, ours, i), _words(judge, trial, theirs, i)
            return f"{ours.label}: expected shape {expected}; got {got}"
    for ours, theirs in zip(wanted, came, strict=True):
        if ours.dtype != theirs.dtype:
            return f"{ours.label}: expected dtype {ours.dtype}; got {theirs.dtype}"
    return ""


def _form_message(judge: ContractJudge, trial: Trial) -> str:
    expected, got = _form(trial)[:_SHOWN_OF_A_FORM], trial.submission.form[:_SHOWN_OF_A_FORM]
    names = judge.contract.outputs
    meant = f" ({', '.join(names)})" if judge.contract.call is None and len(names) > 1 else ""
    return f"expected the result as {expected}{meant}; got {got}"


def _all_words(judge: ContractJudge, trial: Trial, outputs: Sequence[Output]) -> str:
    shapes = [_words(judge, trial, output, i) for i, output in enumerate(outputs)]
    return shapes[0] if len(shapes) == 1 else f"{len(shapes)} arrays: {', '.join(shapes)}"


def _words(judge: ContractJudge, trial: Trial, output: Output, place: int) -> str:
    """The shape of an output, its axes named by what their lengths are at every draw."""
    own = output in trial.reference.outputs
    alike = []
    for other in judge.findings.trials:
        outputs = (other.reference if own else other.submission).outputs
        shape = outputs[place].shape if place < len(outputs) else ()
        if len(shape) == len(output.shape):
            alike.append((shape, judge.problem.symbols(other.draw.sizes)))
    return axes_words(output.shape, common_names(alike))

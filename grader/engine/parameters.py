"""The check that the submission creates the reference's parameters, in whatever arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.engine.cases import at_a_corner
from grader.engine.depth import other_depth
from grader.engine.findings import Trial
from grader.engine.pairing import Choices
from grader.engine.remote_trace import RemoteTrace
from grader.engine.shared import without_shared
from grader.engine.transplant import Match, Mismatch, match
from grader.engine.words import case_words, mismatch_words, tells_little

if TYPE_CHECKING:
    from grader.engine.contract_judge import ContractJudge


def check_parameters(judge: ContractJudge) -> bool:
    """Pair the parameters on every draw; whether that was possible."""
    trials = judge.findings.trials
    for trial in trials:
        foreign = trial.submission.collections
        if foreign and not trial.reference.collections:
            names = ", ".join(f"'{name}'" for name in foreign)
            return judge.fail(
                "parameters",
                f"the model creates variables in the collection {names}; "
                "this problem has parameters only (no batch statistics, no caches)",
            )
    apart = _pair(trials)
    unsure = [trial for trial, _ in apart] or [trial for trial in trials if _guessed(trial)]
    if unsure and _helps_to_cut(judge, unsure[0]) and pair_in_pieces(judge, guess=bool(apart)):
        apart = []
    if apart:
        return judge.fail("parameters", _words(judge, apart))
    if judge.contract.creates_parameters:
        judge.passed("parameters")
    return True


def pair_in_pieces(judge: ContractJudge, guess: bool) -> bool:
    """Cut arrays that hold several parameters apart, where all can be paired then.

    Else everything stays as it was.

    Args:
      judge: with the parameters paired where that is possible.
      guess: whether a pairing will do that guesses how the reference's tables are divided.

    """
    trials = judge.findings.trials
    before = [trial.matched for trial in trials]
    for trial in trials:
        judge.cut(trial.submission)
    cut = any(is_cut(trial.submission) for trial in trials)
    judge.in_pieces = cut and not _pair(trials) and (guess or not any(map(_guessed, trials)))
    if not judge.in_pieces:
        back_to_whole(judge, before)
    return judge.in_pieces


def back_to_whole(judge: ContractJudge, before: list[Match | None]) -> None:
    """Arrays as the submission keeps them, paired as they were before they were cut apart."""
    judge.in_pieces = False
    for trial, matched in zip(judge.findings.trials, before, strict=True):
        trial.submission.pieces, trial.matched = None, matched


def is_cut(submission: RemoteTrace) -> bool:
    """Whether to be cut apart has told more of the parameters than was known of them whole."""
    return any(
        piece.part is not None
        or (piece.plus_one, piece.factor)
        != (submission.leaves[piece.index].plus_one, submission.leaves[piece.index].factor)
        for piece in submission.pairable
    )


def _helps_to_cut(judge: ContractJudge, trial: Trial) -> bool:
    """Whether one draw, which cannot be paired as it is, can be in pieces."""
    judge.cut(trial.submission)
    found = match(trial.reference.leaves, trial.submission.pairable)
    trial.submission.pieces = None
    return isinstance(found, Match)


def _pair(trials: list[Trial]) -> list[tuple[Trial, Mismatch]]:
    """Pair the parameters of each draw; those draws on which that cannot be done.

    How tables are divided on a draw where that is plain is tried on those where it is not: of three
    patches, positions are as many numbers as the biases of query, key and value.
    """
    paired = [(trial, match(trial.reference.leaves, trial.submission.pairable)) for trial in trials]
    divided = (found for _, found in paired if isinstance(found, Match) and found.split)
    tables = next((found.tables() for found in divided), ())
    apart: list[tuple[Trial, Mismatch]] = []
    for trial, found in paired:
        again = found
        if tables and isinstance(found, Mismatch):
            as_shown = Choices(tables=tables)
            again = match(trial.reference.leaves, trial.submission.pairable, as_shown)
        if isinstance(again, Match):
            trial.matched = again
        else:
            apart.append((trial, again))
    return apart


def _guessed(trial: Trial) -> bool:
    """Whether the pairing guesses that an array holds several parameters, or a part of one."""
    return trial.matched is not None and trial.matched.split


def _words(judge: ContractJudge, apart: list[tuple[Trial, Mismatch]]) -> str:
    """What is wrong on the draw that tells most, kept for the diagnosis."""
    trial, mismatch = min(
        apart,
        key=lambda item: (
            at_a_corner(judge.problem, item[0].draw),
            not item[0].draw.tells,
            tells_little(item[1]),
            item[0].draw.plainness,
        ),
    )
    judge.findings.mismatch = mismatch
    judge.findings.failing = (trial, 0)
    leaves = trial.reference.leaves, trial.submission.leaves
    again, others = without_shared(mismatch, *leaves)
    words = mismatch_words(others, judge.problem, trial.draw.sizes)
    depth = other_depth(*leaves)
    if depth is not None:
        words = (
            f"these are the parameters of {depth.found} encoder "
            f"block{'s' * (depth.found != 1)}; there should be {depth.wanted}"
        )
    words = "\n".join(filter(None, [again, words]))
    return f"{words}\n(for {case_words(trial.draw.fields)})"

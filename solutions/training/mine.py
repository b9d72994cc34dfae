"""Train with a student's own answers, those that have passed: which they are, and whose is what."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from grader import blocks, catalogue
from grader.engine.blocks_used import Block, choose
from grader.engine.reference import unedited
from grader.engine.submission import load
from grader.study import progress
from solutions.training.mine_model import model_of
from solutions.training.models import PROBLEMS, Model
from solutions.training.recipe import BadRecipe, Recipe
from solutions.training.runs import ANSWERS

if TYPE_CHECKING:
    from solutions.training.runs import Run

OPTIMISER_PROBLEM = 50


@dataclass(frozen=True)
class Mine:
    """What of a run is the student's.

    Attributes:
      model: their model, or None where the reference serves.
      step50: the module with their optimiser and step, or None.
      notes: a line for each problem: whose it is, and why.
      sources: for each problem whose answer is theirs, blocks included, its text.

    """

    model: Model | None
    step50: ModuleType | None
    notes: tuple[str, ...]
    sources: Mapping[int, str]

    @property
    def texts(self) -> dict[int, str]:
        """The fingerprint of each text."""
        return {number: progress.fingerprint(text) for number, text in self.sources.items()}


def answers(
    recipe: Recipe,
    image_shape: tuple[int, int, int],
    num_classes: int,
    kept: Mapping[int, Text] | None = None,
) -> Mine:
    """The student's own passed answers that a recipe can use.

    Args:
      recipe: names the model.
      image_shape: (H, W, C).
      num_classes: K.
      kept: the answers of a run, blocks included; those in ``problems/`` unless given.

    Raises:
      BadRecipe: there is none, or the recipe asks for what only the reference can do.

    """
    number = PROBLEMS[recipe.model]
    theirs, told = _passed(number, kept)
    theirs50, told50 = _passed(OPTIMISER_PROBLEM, kept)
    if theirs is None and theirs50 is None:
        raise BadRecipe(
            f"none of your answers can train here: {told}; {told50}. First: python -m grader "
            f"{number}"
        )
    model, sources = None, {}
    if theirs is not None:
        if recipe.drop_path:
            raise BadRecipe(
                f"drop_path is {recipe.drop_path}; that needs the reference's model. With your "
                "own: --set drop_path=0"
            )
        with theirs.blocks.serving():
            model = model_of(theirs.module, recipe, image_shape, num_classes)
        used = theirs.blocks.used
        sources = {number: theirs.text.source} | {block.number: block.source for block in used}
        told += "".join(f"; in it use({b.number}) is {b.reason}" for b in used)
    if theirs50 is not None:
        sources[OPTIMISER_PROBLEM] = theirs50.text.source
        told50 = _of_the_step(theirs50, recipe)
    step50 = theirs50.module if theirs50 else None
    return Mine(model, step50, (told, told50), sources)


def answers_of(run: Run, step: bool = True) -> Mine:
    """The answers that a run trained, from the copies in its folder.

    A copy is run only if its text is the one that ``run.json`` names and has passed in this working
    copy, so that nobody runs a stranger's code by looking at a stranger's run.

    Args:
      run: knows which, and their texts.
      step: whether that of problem 50 is needed too; to look at a trained model it is not.

    Raises:
      BadRecipe: one of them is nowhere to be found, or has never passed here.

    """
    known = {n: text for n, text in run.mine.items() if step or n != OPTIMISER_PROBLEM}
    reached = progress.read()
    found = {number: _text_with(mark, run, number) for number, mark in known.items()}
    strange = [n for n in sorted(known) if n not in reached or not reached[n].knows(known[n])]
    kept = {number: text for number, text in found.items() if text and number not in strange}
    lost = [number for number in sorted(known) if found[number] is None]
    if lost:
        raise BadRecipe(
            f"{run.folder} trained your answers to {_listed(known)}; the text that it had for "
            f"{_listed(lost)} is neither in {run.folder / ANSWERS} nor in {catalogue.PROBLEMS.name}"
        )
    if strange:
        again = ", ".join(f"python -m grader {number}" for number in strange)
        raise BadRecipe(
            f"{run.folder} trained answers to {_listed(known)}, and what lies in "
            f"{run.folder / ANSWERS} for {_listed(strange)} has not passed here: it is not run. "
            f"Put it into {catalogue.PROBLEMS.name} and grade it: {again}"
        )
    return answers(run.recipe, run.image_shape, len(run.classes), kept)


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))


def _text_with(mark: str, run: Run, number: int) -> Text | None:
    """The text with this fingerprint, of the run's folder or of ``problems/``."""
    for folder in (run.folder / ANSWERS, catalogue.PROBLEMS):
        path = folder / catalogue.solution_path(number).name
        source = progress.text_of(path)
        if source is not None and progress.fingerprint(source) == mark:
            return Text(path, source)
    return None


@dataclass(frozen=True)
class Text:
    """An answer as it was read."""

    path: Path
    source: str


@dataclass(frozen=True)
class _Theirs:
    """A passed answer: its module, its text, its blocks."""

    module: ModuleType
    text: Text
    blocks: _Blocks


class _Blocks:
    """``use`` as the grader has it: the student's own blocks where they have passed."""

    def __init__(self, number: int, kept: Mapping[int, Text] | None) -> None:
        if kept is None:
            chosen = choose(catalogue.problem(number), progress.passed_texts(progress.read()))
        else:
            chosen = [_kept_block(n, text) for n, text in kept.items() if n != number]
        self._chosen = {block.number: block for block in chosen}
        self._loaded: dict[int, ModuleType] = {}

    @property
    def used(self) -> list[Block]:
        """The student's own blocks that were asked for."""
        return [
            block
            for number, block in sorted(self._chosen.items())
            if number in self._loaded and block.path != catalogue.solution_path(number)
        ]

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Within this block ``use`` gives these."""
        with blocks.resolving(self._resolve):
            yield

    def _resolve(self, wanted: int) -> ModuleType:
        if wanted not in self._chosen:
            return unedited().module(wanted)
        if wanted not in self._loaded:
            block = self._chosen[wanted]
            with self.serving():
                loaded = load(block.source, str(block.path), f"mine_block_{wanted}")
            self._loaded[wanted] = loaded
        return self._loaded[wanted]


def _kept_block(number: int, text: Text) -> Block:
    return Block(number, text.path, text.source, f"your own, from {_place(text.path)}")


def _passed(number: int, kept: Mapping[int, Text] | None) -> tuple[_Theirs | None, str]:
    """A student's answer, if its text has passed, and a line about it."""
    text = _now(number) if kept is None else kept.get(number, ", as when the run began")
    if isinstance(text, str):
        return None, f"problem {number} is the reference's{text}"
    own_blocks = _Blocks(number, kept)
    with own_blocks.serving():
        module = load(text.source, str(text.path), f"mine_{number}")
    theirs = _Theirs(module, text, own_blocks)
    return theirs, _yours(theirs, number, _functions(number))


def _now(number: int) -> Text | str:
    """The answer in ``problems/``, or why it does not train."""
    path = catalogue.PROBLEMS / catalogue.solution_path(number).name
    source = progress.text_of(path)
    if source is None:
        return ": there is no answer of yours"
    reached = progress.read().get(number)
    if reached is None or reached.passed_text != progress.fingerprint(source):
        why = "has changed since it passed" if reached and reached.passed_text else "has not passed"
        return f": yours {why} (python -m grader {number})"
    return Text(path, source)


def _functions(number: int) -> list[str]:
    return [contract.function for contract in catalogue.problem(number).contracts]


def _yours(theirs: _Theirs, number: int, functions: list[str]) -> str:
    return f"problem {number} is yours, from {_place(theirs.text.path)}: {', '.join(functions)}"


def _place(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _of_the_step(theirs: _Theirs, recipe: Recipe) -> str:
    """Which functions of problem 50 are theirs in this run."""
    replaced = {}
    if recipe.optimizer != "adamw":
        replaced["make_optimizer"] = f"which has no {recipe.optimizer}"
    if recipe.mixup or recipe.cutmix:
        replaced["train_step"] = "since mixed images belong to two classes"
    kept = [name for name in _functions(OPTIMISER_PROBLEM) if name not in replaced]
    told = _yours(theirs, OPTIMISER_PROBLEM, kept)
    return told + "".join(
        f"; in place of {name}, {why}, the course has its own" for name, why in replaced.items()
    )

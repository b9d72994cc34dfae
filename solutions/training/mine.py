"""Train with a student's own answers, those that have passed.

The grader's engine turns a contract function, whatever its modules are called and however it
stores its weights, into a pure function of (weights, image).  That function takes the place of
the reference model and is jitted in the same way.  It starts from the same weights, too: the
engine's transplant brings the reference's initial parameters into the student's layout.  So an
answer that passes trains as the reference does, up to rounding.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from grader import blocks, catalogue
from grader.engine.align import Alignment, Case, align, settle
from grader.engine.blocks_used import choose
from grader.engine.cases import draw_arrays, draw_sizes, draw_weights
from grader.engine.layout import Kinds
from grader.engine.reference import Solutions, unedited
from grader.engine.remote import RemoteTrace
from grader.engine.submission import load
from grader.engine.suspects import Suspect, stages_of, variant_suspects
from grader.engine.traced import Traced
from grader.engine.transplant import Choices, Match, match
from grader.problem import Contract, Problem, Sizes
from grader.study import progress
from solutions.training.models import PROBLEMS, Model, Params, build, grid_of, narrows
from solutions.training.narrow import with_narrow_products
from solutions.training.recipe import BadRecipe, Recipe

OPTIMISER_PROBLEM = 50
_DRAWS = 6


@dataclass(frozen=True)
class Mine:
    """What of a run is the student's.

    Attributes:
      model: their model, or None where the reference serves.
      step50: the module with their optimiser and step, or None.
      notes: a line for each problem: whose it is, and why.

    """

    model: Model | None
    step50: ModuleType | None
    notes: tuple[str, ...]


def answers(recipe: Recipe, image_shape: tuple[int, int, int], num_classes: int) -> Mine:
    """The student's own passed answers that a recipe can use.

    Raises:
      BadRecipe: there is none, or the recipe asks for what only the reference can do.

    """
    number = PROBLEMS[recipe.model]
    module, told = _passed(number)
    step50, told50 = _passed(OPTIMISER_PROBLEM)
    if module is None and step50 is None:
        raise BadRecipe(
            f"none of your answers can train here: {told}; {told50}. First: python -m grader "
            f"{number}"
        )
    model = None
    if module is not None:
        for field, off in (("drop_path", 0.0), ("optimizer", "adamw")):
            if getattr(recipe, field) != off:
                raise BadRecipe(
                    f"{field} is {getattr(recipe, field)}; that needs the reference's model. "
                    f"With your own: --set {field}={off}"
                )
        model = _model(module, recipe, image_shape, num_classes)
    return Mine(model, step50, (told, told50))


def _passed(number: int) -> tuple[ModuleType | None, str]:
    """A student's answer as a module, if its text has passed, and a line about it."""
    path = catalogue.PROBLEMS / catalogue.solution_path(number).name
    reached = progress.read().get(number)
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None, f"problem {number} is the reference's: there is no answer of yours"
    if reached is None or reached.passed_text != progress.fingerprint(source):
        return None, f"problem {number} is the reference's: yours has not passed yet"
    with blocks.resolving(_blocks_of(number)):
        module = load(source, str(path), f"mine_{number}")
    names = ", ".join(contract.function for contract in catalogue.problem(number).contracts)
    return module, f"problem {number} is yours, from {path.parent.name}/{path.name}: {names}"


def _blocks_of(number: int) -> Callable[[int], ModuleType]:
    """``use`` as the grader has it: the student's own blocks where they have passed."""
    reached = progress.read()

    def has_passed(block: int, source: str) -> bool:
        known = reached.get(block)
        return known is not None and known.passed_text == progress.fingerprint(source)

    chosen = {block.number: block for block in choose(catalogue.problem(number), has_passed)}
    loaded: dict[int, ModuleType] = {}

    def resolve(wanted: int) -> ModuleType:
        if wanted not in chosen:
            return unedited().module(wanted)
        if wanted not in loaded:
            block = chosen[wanted]
            with blocks.resolving(resolve):
                loaded[wanted] = load(block.source, str(block.path), f"mine_block_{wanted}")
        return loaded[wanted]

    return resolve


def _model(
    module: ModuleType, recipe: Recipe, image_shape: tuple[int, int, int], num_classes: int
) -> Model:
    """A student's contract function as a `Model`."""
    contract = catalogue.problem(PROBLEMS[recipe.model]).contracts[-1]
    sizes = _sizes(recipe, image_shape, num_classes)
    answer = _Answer(contract, getattr(module, contract.function), sizes, recipe)
    reference = build(recipe, image_shape, num_classes)
    extra_head = recipe.model == "extra_head"

    def init(key: jax.Array) -> Params:
        params = reference.init(key)
        theirs = answer.params(params["vit"] if extra_head else params)
        return {"vit": theirs, "head": params["head"]} if extra_head else theirs

    def logits(params: Params, image: jax.Array) -> jax.Array:
        first = answer.outputs(params["vit"] if extra_head else params, image)[0]
        if extra_head:
            return first @ params["head"]["kernel"] + params["head"]["bias"]
        return first

    def apply(params: Params, images: jax.Array, key: jax.Array | None = None) -> jax.Array:
        return jax.vmap(lambda image: logits(params, image))(images)

    return Model(
        init=init,
        apply=with_narrow_products(apply) if narrows(recipe) else apply,
        attention=lambda params, image: answer.attention(
            params["vit"] if extra_head else params, image
        ),
        positions=lambda params: answer.positions(params["vit"] if extra_head else params),
        extra_tokens=reference.extra_tokens,
        grid=reference.grid,
    )


def _sizes(recipe: Recipe, image_shape: tuple[int, int, int], num_classes: int) -> dict[str, Any]:
    """The recipe in the words of the contracts."""
    rows, columns = grid_of(recipe, image_shape)
    return {
        "grid_h": rows,
        "grid_w": columns,
        "channels": image_shape[2],
        "patch_size": recipe.patch_size,
        "d_model": recipe.width,
        "output_dim": recipe.width - recipe.heads,
        "num_heads": recipe.heads,
        "d_ff": recipe.mlp,
        "num_layers": recipe.depth,
        "num_registers": recipe.registers,
        "num_classes": num_classes,
    }


class _Answer:
    """A traced contract function, and how the reference's weights go into it."""

    def __init__(
        self, contract: Contract, function: Callable[..., Any], sizes: Sizes, recipe: Recipe
    ) -> None:
        problem = catalogue.problem(PROBLEMS[recipe.model])
        self._theirs = Traced(contract, function, 0, sizes)
        for solutions in _accepted(problem):
            found = self._matched(problem, solutions, contract, function, sizes)
            if found is not None:
                break
        else:
            raise BadRecipe(
                f"your {contract.function} and the reference part at the sizes of this recipe, "
                "though it has passed; grade it again with another --seed"
            )
        self._match = found
        self._names = self._leaf_names()

    def _matched(
        self,
        problem: Problem,
        solutions: Solutions,
        contract: Contract,
        function: Callable[..., Any],
        sizes: Sizes,
    ) -> Match | None:
        """The transplant at the sizes of the recipe; None when the numbers are not equal."""
        choices, kinds, their_kinds = _settled(problem, solutions, contract, function)
        self._reference = solutions.trace(problem.number, contract, 0, sizes, kinds)
        self._theirs.leaves = their_kinds.told(self._theirs.leaves)
        case = _case(self._reference, contract, sizes)
        local, stages = cast(RemoteTrace, _Local(self._theirs)), stages_of(problem)
        for start in (choices, Choices()):
            found = align(self._reference, local, case, stages, start)
            if isinstance(found, Alignment) and found.equal:
                matched = match(self._reference.leaves, self._theirs.leaves, found.choices)
                assert isinstance(matched, Match)
                return matched
        return None

    def _leaf_names(self) -> list[tuple[str, str]]:
        """For each of their parameters its path, and what the reference calls this kind.

        The kind stands last, as in Flax's own trees, so that ``weight_decay_mask`` finds kernels.
        """
        kinds = {}
        for leaf, slots in self._match.pieces:
            path = self._reference.leaves[slots[0].members[0]].path
            kinds[leaf.index] = path.rsplit("/", 1)[-1]
        return [(leaf.path, kinds.get(leaf.index, "empty")) for leaf in self._theirs.leaves]

    def _places(self) -> list[np.ndarray]:
        """For each of their parameters, where its elements stand in the reference's, laid flat."""
        sizes = [leaf.size for leaf in self._reference.leaves]
        starts = np.cumsum([0, *sizes])
        numbered = [
            np.arange(start, start + leaf.size, dtype=np.float64).reshape(leaf.shape)
            for start, leaf in zip(starts, self._reference.leaves, strict=False)
        ]
        return [values.astype(np.int64) for values in self._match.weights(numbered)]

    def params(self, reference: Params) -> Params:
        """Their parameters from those of the reference, both as trees."""
        flat = _by_path(reference)
        laid_flat = jnp.concatenate([flat[leaf.path].ravel() for leaf in self._reference.leaves])
        return {
            path: {kind: laid_flat[places]}
            for (path, kind), places in zip(self._names, self._places(), strict=True)
        }

    def outputs(self, params: Params, image: jax.Array) -> list[jax.Array]:
        """What their function returns for one image."""
        return self._theirs.pure(self._flat(params), [image])

    def _flat(self, params: Params) -> list[Any]:
        return [params[path][kind] for path, kind in self._names]

    def attention(self, params: Params, image: jax.Array) -> np.ndarray | None:
        """The last value on the way that looks like attention weights: (heads, T, T)."""
        weights = [np.asarray(w, np.float64) for w in self._flat(params)]
        _, seen = self._theirs.run_recorded(weights, [np.asarray(image, np.float64)])
        for item in reversed(seen):
            value = item.value
            square = value.ndim >= 2 and value.shape[-1] == value.shape[-2] > 1
            if square and value.min() >= 0 and np.allclose(value.sum(axis=-1), 1):
                return value.reshape(-1, *value.shape[-2:])
        return None

    def positions(self, params: Params) -> jax.Array | None:
        """Their position table, where it is one array."""
        for path, kind in self._names:
            if kind == "positions" and params[path][kind].ndim >= 2:
                table = params[path][kind]
                return table.reshape(-1, table.shape[-1])
        return None


def _accepted(problem: Problem) -> Iterator[Solutions]:
    """The reference, and what counts as right too: the exact GELU, another epsilon."""
    variants = variant_suspects(problem)
    for count in range(len(variants) + 1):
        for chosen in itertools.combinations(variants, count):
            yield functools.reduce(Suspect.joined, chosen, Suspect()).solutions()


def _settled(
    problem: Problem, solutions: Solutions, contract: Contract, function: Callable[..., Any]
) -> tuple[Choices, Kinds, Kinds]:
    """How the answer stores its weights, and how parameters start, found on small draws.

    On sizes that the grader draws no two axes are alike; on those of a recipe they may be.
    """
    trials = []
    draws = draw_sizes(problem, np.random.default_rng(0), _DRAWS)
    reference = solutions.trace(problem.number, contract, 0, draws[0].sizes)
    theirs = Traced(contract, function, 0, draws[0].sizes, drawn=True)
    kinds, their_kinds = Kinds(reference.leaves), Kinds(theirs.leaves)
    for draw in draws[1:]:
        reference = solutions.trace(problem.number, contract, 0, draw.sizes, kinds)
        theirs = Traced(contract, function, 0, draw.sizes)
        theirs.leaves = their_kinds.told(theirs.leaves)
        case = _case(reference, contract, draw.sizes)
        trials.append((reference, cast(RemoteTrace, _Local(theirs)), case))
    return settle(trials, stages_of(problem)), kinds, their_kinds


def _case(reference: Traced, contract: Contract, sizes: Sizes) -> Case:
    generator = np.random.default_rng(0)
    weights = draw_weights(reference.leaves, generator, "ordinary")
    arrays = draw_arrays(contract, sizes, generator)
    return Case(weights, arrays, reference.run(weights, arrays))


class _Local:
    """A `Traced` in this process, as `align` asks for one in a child."""

    def __init__(self, traced: Traced) -> None:
        self._traced = traced
        self.leaves = traced.leaves

    def run(self, weights: list[np.ndarray], arrays: list[np.ndarray]) -> list[np.ndarray]:
        return self._traced.run(weights, arrays)

    def start_record(self, weights: list[np.ndarray], arrays: list[np.ndarray]) -> Any:
        outputs, seen = self._traced.run_recorded(weights, arrays)
        answer = {"outputs": len(outputs), "lines": [item.line for item in seen]}
        return _Answered((answer, [*outputs, *(item.value for item in seen)]))


@dataclass(frozen=True)
class _Answered:
    """A `Ticket` whose answer is there."""

    answer: tuple[dict[str, Any], list[np.ndarray]]

    def result(self) -> tuple[dict[str, Any], list[np.ndarray]]:
        return self.answer


def _by_path(params: Params) -> Mapping[str, Any]:
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {"/".join(str(key.key) for key in path): value for path, value in leaves}

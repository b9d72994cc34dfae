"""A student's contract function as a model that trains.

The grader's engine turns a contract function, whatever its modules are called and however it
stores its weights, into a pure function of (weights, image).  That function takes the place of
the reference model and is jitted in the same way.  It starts from the same weights, too: the
engine's transplant brings the reference's initial parameters into the student's layout.  So an
answer that passes trains as the reference does, up to rounding.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from grader import catalogue
from grader.engine.align import Alignment, Case, align, settle
from grader.engine.cases import draw_arrays, draw_sizes, draw_weights
from grader.engine.layout import Kinds
from grader.engine.pairing import Choices
from grader.engine.piece_kinds import PieceKinds
from grader.engine.reference import Solutions
from grader.engine.remote_trace import RemoteTrace
from grader.engine.suspects import Suspect, stages_of, variant_suspects
from grader.engine.traced import Traced
from grader.engine.transplant import Match, common_mode, match
from grader.problem import Contract, Problem, Sizes
from solutions.training.fused import fuses_attention
from solutions.training.mine_layout import Placed
from solutions.training.models import PROBLEMS, Layout, Model, Params, build, compute_dtype, grid_of
from solutions.training.products import with_fast_products
from solutions.training.recipe import BadRecipe, Recipe

_DRAWS = 6


def model_of(
    module: Any, recipe: Recipe, image_shape: tuple[int, int, int], num_classes: int
) -> Model:
    """The answer in ``module`` to the problem of the recipe's model.

    The traced program is float32 throughout; `with_fast_products` makes it bfloat16 as the
    reference is.  Attention is computed by the fused kernel where the reference's is.

    Raises:
      BadRecipe: it does not do what the reference does at the sizes of the recipe.

    """
    contract = catalogue.problem(PROBLEMS[recipe.model]).contracts[-1]
    sizes = _sizes(recipe, image_shape, num_classes)
    answer = _Answer(contract, getattr(module, contract.function), sizes, recipe)
    reference, placed = build(recipe, image_shape, num_classes), answer.placed
    extra_head = recipe.model == "extra_head"
    dtype = compute_dtype(recipe)
    fused = fuses_attention(dtype, recipe.width // recipe.heads)

    def init(key: jax.Array) -> Params:
        params = reference.init(key)
        theirs = placed.params(params["vit"] if extra_head else params)
        return {"vit": theirs, "head": params["head"]} if extra_head else theirs

    layout = Layout(placed.to_reference, placed.from_reference)
    if extra_head:
        layout = Layout(_inside(placed.to_reference), _inside(placed.from_reference))

    def logits(params: Params, image: jax.Array) -> jax.Array:
        first = answer.outputs(params["vit"] if extra_head else params, image)[0]
        if extra_head:
            return first @ params["head"]["kernel"] + params["head"]["bias"]
        return first

    def apply(params: Params, images: jax.Array, key: jax.Array | None = None) -> jax.Array:
        return jax.vmap(lambda image: logits(params, image))(images)

    def attention(params: Params, image: jax.Array) -> np.ndarray | None:
        if not answer.attends_in_order:
            return None
        return answer.attention(params["vit"] if extra_head else params, image)

    return Model(
        init=init,
        apply=with_fast_products(apply, dtype == jnp.bfloat16, "cudnn" if fused else None),
        attention=attention,
        positions=lambda params: reference.positions(layout.to_reference(params)),
        extra_tokens=reference.extra_tokens,
        grid=reference.grid,
        layout=layout,
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
    """A traced contract function, and how the reference's weights go into it.

    Attributes:
      attends_in_order: whether its last attention weights are those of the reference, so that
        the tokens stand in the same order; a picture of them would be wrong otherwise.

    """

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
        self.placed = Placed(self._reference.leaves, self._theirs.leaves, found)

    def _matched(
        self,
        problem: Problem,
        solutions: Solutions,
        contract: Contract,
        function: Callable[..., Any],
        sizes: Sizes,
    ) -> Match | None:
        """The transplant at the sizes of the recipe; None when the numbers are not equal."""
        small = _Small(problem, solutions, contract, function)
        self._reference = solutions.trace(problem.number, contract, 0, sizes, small.kinds)
        self._theirs.leaves = small.their_kinds.told(self._theirs.leaves)
        case, stages = _case(self._reference, contract, sizes), stages_of(problem)
        for cut in small.ways():
            local = cast(RemoteTrace, _Local(self._theirs, cut))
            for start in (small.choices(cut), Choices()):
                found = align(self._reference, local, case, stages, start)
                if isinstance(found, Alignment) and found.equal:
                    matched = match(self._reference.leaves, local.pairable, found.choices)
                    assert isinstance(matched, Match)
                    self.attends_in_order = self._same_attention(matched, case)
                    return matched
        return None

    def _same_attention(self, matched: Match, case: Case) -> bool:
        expected = _last_attention(self._reference, case.weights, case.arrays)
        found = _last_attention(self._theirs, matched.weights(case.weights), case.arrays)
        if expected is None or found is None or expected.shape != found.shape:
            return False
        return np.allclose(expected, found, atol=1e-4)

    def outputs(self, params: Params, image: jax.Array) -> list[jax.Array]:
        """What their function returns for one image."""
        return self._theirs.pure(self.placed.given(params), [image])

    def attention(self, params: Params, image: jax.Array) -> np.ndarray | None:
        """The last value on the way that looks like attention weights: (heads, T, T)."""
        weights = [np.asarray(w, np.float64) for w in self.placed.given(params)]
        return _last_attention(self._theirs, weights, [np.asarray(image, np.float64)])


def _last_attention(
    traced: Traced, weights: list[np.ndarray], arrays: list[np.ndarray]
) -> np.ndarray | None:
    _, seen = traced.run_recorded(weights, arrays)
    for item in reversed(seen):
        value = item.value
        square = value.ndim >= 2 and value.shape[-1] == value.shape[-2] > 1
        if square and value.min() >= 0 and np.allclose(value.sum(axis=-1), 1):
            return value.reshape(-1, *value.shape[-2:])
    return None


def _accepted(problem: Problem) -> Iterator[Solutions]:
    """The reference, and what counts as right too: the exact GELU, another epsilon."""
    variants = variant_suspects(problem)
    for count in range(len(variants) + 1):
        for chosen in itertools.combinations(variants, count):
            yield functools.reduce(Suspect.joined, chosen, Suspect()).solutions()


class _Small:
    """An answer and the reference on small draws: how it stores its weights shows there.

    On sizes that the grader draws no two axes are alike; on those of a recipe they may be.

    Attributes:
      kinds: how the reference's parameters start.
      their_kinds: how those of the answer do.

    """

    def __init__(
        self,
        problem: Problem,
        solutions: Solutions,
        contract: Contract,
        function: Callable[..., Any],
    ) -> None:
        self._stages = stages_of(problem)
        draws = draw_sizes(problem, np.random.default_rng(0), _DRAWS)
        reference = solutions.trace(problem.number, contract, 0, draws[0].sizes)
        theirs = Traced(contract, function, 0, draws[0].sizes, drawn=True)
        self.kinds, self.their_kinds = Kinds(reference.leaves), Kinds(theirs.leaves)
        self._first = theirs
        self._arrays = draw_arrays(contract, draws[0].sizes, np.random.default_rng(0))
        self._trials = []
        for draw in draws[1:]:
            reference = solutions.trace(problem.number, contract, 0, draw.sizes, self.kinds)
            theirs = Traced(contract, function, 0, draw.sizes)
            theirs.leaves = self.their_kinds.told(theirs.leaves)
            self._trials.append((reference, theirs, _case(reference, contract, draw.sizes)))

    def ways(self) -> Iterator[PieceKinds | None]:
        """To take its parameters as they are, or else in pieces, with how these start."""
        yield None
        yield PieceKinds(self._first.in_pieces(), self._first.initial_values(self._arrays)[0])

    def choices(self, cut: PieceKinds | None) -> Choices:
        """How the weights are stored, in pieces where ``cut`` tells how these start."""
        trials = [
            (reference, cast(RemoteTrace, _Local(theirs, cut)), case)
            for reference, theirs, case in self._trials
        ]
        mode = common_mode((reference.leaves, local.pairable) for reference, local, _ in trials)
        return settle(trials, self._stages, Choices(mode=mode)).choices


def _case(reference: Traced, contract: Contract, sizes: Sizes) -> Case:
    generator = np.random.default_rng(0)
    weights = draw_weights(reference.leaves, generator, "ordinary")
    arrays = draw_arrays(contract, sizes, generator)
    return Case(weights, arrays, reference.run(weights, arrays))


class _Local:
    """A `Traced` in this process, as `align` asks for one in a child."""

    def __init__(self, traced: Traced, cut: PieceKinds | None) -> None:
        self._traced = traced
        self.pairable = traced.leaves if cut is None else cut.told(traced.in_pieces())

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


def _inside(change: Callable[[Params], Params]) -> Callable[[Params], Params]:
    """``change`` for what lies under the classifier of problem 48."""
    return lambda tree: {**tree, "vit": change(tree["vit"])}

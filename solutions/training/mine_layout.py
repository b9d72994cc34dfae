"""Where a student's answer keeps the numbers of the reference's parameters, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from grader.engine.layout import Leaf
from grader.engine.transplant import Match
from solutions.training.recipe import BadRecipe

Params = Any


class Placed:
    """The parameters of an answer, as a tree of dicts, and those of the reference.

    Last in it, as in Flax's own trees, stands what the reference calls the parameter (its kind),
    so that ``weight_decay_mask`` finds kernels; before that the path in the answer.

    Attributes:
      names: of each of their parameters, the names that lead to it.

    """

    def __init__(self, reference: Sequence[Leaf], theirs: Sequence[Leaf], found: Match) -> None:
        self._reference, self._match = reference, found
        kinds: dict[int, str] = {}
        for leaf, slots in found.pieces:
            kind = reference[slots[0].members[0]].path.rsplit("/", 1)[-1]
            other = kinds.setdefault(leaf.index, kind)
            if other != kind and "kernel" in (other, kind):
                raise BadRecipe(
                    f"your answer keeps a kernel and other numbers in '{theirs[leaf.index].path}'; "
                    "weight decay has to tell them apart: to be trained, the kernel needs to be a "
                    "parameter of its own"
                )
        self._factors = self._each(found.factor)
        self._added = self._each(lambda leaf: float(leaf.plus_one))
        self.names = [(*leaf.path.split("/"), kinds.get(leaf.index, "empty")) for leaf in theirs]

    def _each(self, number: Callable[[Leaf], float]) -> list[np.ndarray]:
        """A number of each parameter or piece, as their arrays hold them."""
        like = [np.zeros(leaf.shape) for leaf in self._reference]
        of_all = self._match.filled(like, lambda leaf, x: np.full(x.shape, number(leaf)))
        return list(map(_plain, of_all))

    @cached_property
    def _places(self) -> list[np.ndarray]:
        """For each of their parameters, where its elements stand in the reference's, laid flat."""
        sizes = [leaf.size for leaf in self._reference]
        starts = np.cumsum([0, *sizes])
        numbered = [
            np.arange(start, start + leaf.size, dtype=np.float64).reshape(leaf.shape)
            for start, leaf in zip(starts, self._reference, strict=False)
        ]
        return [values.astype(np.int64) for values in self._match.arranged(numbered)]

    @cached_property
    def _way_back(self) -> np.ndarray:
        """For each element of the reference's, laid flat, where it stands in theirs, laid flat."""
        return np.argsort(np.concatenate([places.ravel() for places in self._places]))

    def flat(self, params: Params) -> list[Any]:
        """Their parameters in the order of their leaves."""
        found = traverse_util.flatten_dict(params)
        return [found[names] for names in self.names]

    def given(self, params: Params) -> list[Any]:
        """What their function takes for these parameters.

        What it multiplies by a number of its own (``0.02 * table``) is kept and trained as the
        product: an optimiser's steps have the size that they have in the reference.
        """
        pairs = zip(self.flat(params), self._factors, strict=True)
        return [x if np.array_equal(f, 1) else x / f.astype(x.dtype) for x, f in pairs]

    def params(self, reference: Params) -> Params:
        """Their parameters from those of the reference, both as trees."""
        laid = zip(self.flat(self.from_reference(reference)), self._added, strict=True)
        return self._tree([numbers - added.astype(numbers.dtype) for numbers, added in laid])

    def from_reference(self, tree: Params) -> Params:
        """A tree like the reference's parameters in the layout of theirs; numbers as they are."""
        flat = _by_path(tree)
        laid_flat = jnp.concatenate([flat[leaf.path].ravel() for leaf in self._reference])
        return self._tree([laid_flat[places] for places in self._places])

    def _tree(self, leaves: Sequence[Any]) -> Params:
        return traverse_util.unflatten_dict(dict(zip(self.names, leaves, strict=True)))

    def to_reference(self, tree: Params) -> Params:
        """Back."""
        in_order = jnp.concatenate([leaf.ravel() for leaf in self.flat(tree)])[self._way_back]
        ends = np.cumsum([leaf.size for leaf in self._reference])
        parts = zip(self._reference, jnp.split(in_order, ends[:-1]), strict=True)
        return traverse_util.unflatten_dict(
            {tuple(leaf.path.split("/")): part.reshape(leaf.shape) for leaf, part in parts}
        )


def _plain(numbers: np.ndarray) -> np.ndarray:
    """One number where all are the same: less for a program to hold."""
    same = numbers.size and (numbers == numbers.flat[0]).all()
    return np.asarray(numbers.flat[0]) if same else numbers


def _by_path(params: Params) -> Mapping[str, Any]:
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {"/".join(str(key.key) for key in path): value for path, value in leaves}

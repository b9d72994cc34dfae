"""The judge's view of a submission: a contract function traced in the child process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from grader.engine.layout import Kinds, Leaf, Part
from grader.engine.origins import INPUT
from grader.engine.piece_kinds import PieceKinds
from grader.engine.process import Lost
from grader.engine.remote import Remote, Ticket
from grader.engine.told import MOST_OF_A_FORM, check_amount, few, leaf_in, line_of, shape_in
from grader.engine.traced import Output
from grader.problem import Sizes


@dataclass(frozen=True)
class _Told:
    """What the child tells of a trace."""

    leaves: list[Leaf]
    collections: list[str]
    outputs: list[Output]
    form: str
    narrow: str
    drawn: int | None
    stops: bool


@dataclass
class RemoteTrace:
    """A contract function of the submission, traced at one draw of sizes, in the child."""

    remote: Remote
    id: str
    ticket: Ticket
    kinds: Kinds | None = None
    pieces: list[Leaf] | None = field(default=None, init=False)
    _known: _Told | None = field(default=None, init=False)
    _leaves: tuple[Kinds | None, list[Leaf]] | None = field(default=None, init=False)

    @classmethod
    def ask(
        cls,
        remote: Remote,
        id: str,
        contract: int,
        seed: int,
        sizes: Sizes,
        batch: int | None = None,
        drawn: bool = False,
    ) -> RemoteTrace:
        """Have the child trace; problems show when the trace is first used."""
        ticket = remote.ask(
            "trace",
            id=id,
            contract=contract,
            seed=seed,
            sizes=dict(sizes),
            batch=batch,
            drawn=drawn,
        )
        return cls(remote, id, ticket)

    def _told(self) -> _Told:
        if self._known is None:
            header, _ = self.ticket.result()
            try:
                leaves = [leaf_in(i, told) for i, told in enumerate(few(header["leaves"]))]
                check_amount(leaves)
                outputs = [
                    Output(line_of(told["label"]), shape_in(told["shape"]), line_of(told["dtype"]))
                    for told in few(header["outputs"])
                ]
                collections = [line_of(c) for c in few(header["collections"])]
                drawn = None if header["random"] is None else int(header["random"])
                form = line_of(header["form"], MOST_OF_A_FORM)
                narrow = line_of(header["narrow"], 40)
                stops = header["stops"] is not False
                self._known = _Told(leaves, collections, outputs, form, narrow, drawn, stops)
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                raise Lost("garbage", "the process answered with garbage") from error
        return self._known

    @property
    def leaves(self) -> list[Leaf]:
        """The parameters that the submission creates."""
        if self._leaves is None or self._leaves[0] is not self.kinds:
            leaves = self._told().leaves
            self._leaves = self.kinds, leaves if self.kinds is None else self.kinds.told(leaves)
        return self._leaves[1]

    @property
    def pairable(self) -> list[Leaf]:
        """The parameters as they are paired with others: in pieces, once ``cut`` was called."""
        return self.leaves if self.pieces is None else self.pieces

    def cut(self, kinds: PieceKinds) -> None:
        """Tell the pieces apart that are kept in one array, from now on."""
        if self.pieces is None:
            self.pieces = kinds.told(self.as_cut)

    @cached_property
    def as_cut(self) -> list[Leaf]:
        """The parameters in pieces, as the child tells them."""
        header, parts = self.remote.ask("cut", id=self.id).result()
        try:
            left = iter(parts)
            pieces = [
                self._piece(told, next(left) if told["part"] else None)
                for told in few(header["leaves"])
            ]
            if {piece.index for piece in pieces} != {leaf.index for leaf in self.leaves}:
                raise ValueError("the pieces are of other parameters")
        except (KeyError, TypeError, ValueError, OverflowError, StopIteration, IndexError) as error:
            raise Lost("garbage", "the process answered with garbage") from error
        return pieces

    def _piece(self, told: Mapping[str, Any], elements: np.ndarray | None) -> Leaf:
        """A parameter as a child tells it, or a piece of one."""
        whole = self.leaves[int(told["index"])]
        found = replace(leaf_in(whole.index, told), kind="zeros" if whole.plus_one else whole.kind)
        if elements is None:
            return replace(found, path=whole.path, shape=whole.shape)
        if elements.shape != found.shape or elements.dtype.kind not in "iu":
            raise ValueError("a piece and its elements differ")
        if not elements.size or elements.min() < 0 or elements.max() >= whole.size:
            raise ValueError("a piece of something else")
        return replace(found, part=Part(whole.shape, elements))

    @property
    def collections(self) -> list[str]:
        """Linen collections other than ``params`` that it creates."""
        return self._told().collections

    @property
    def outputs(self) -> list[Output]:
        """What it returns."""
        return self._told().outputs

    @property
    def form(self) -> str:
        """How a caller takes apart what it returns, as ``form_of`` tells it."""
        return self._told().form

    @property
    def narrow(self) -> str:
        """A float type of less than 32 bits that it computes in, or an empty text."""
        return self._told().narrow

    @property
    def stops_gradients(self) -> bool:
        """Whether a gradient is stopped on the way, other than that of a maximum."""
        return self._told().stops

    @property
    def random_line(self) -> int | None:
        """The line that draws random numbers while the model runs; 0: some line; None: none."""
        return self._told().drawn

    def start_run(self, weights: Sequence[np.ndarray], arrays: Sequence[np.ndarray]) -> Ticket:
        """Have the child evaluate the trace."""
        ticket = self.remote.ask("run", [*weights, *arrays], id=self.id, weights=len(weights))
        ticket.shapes = lambda: [output.shape for output in self.outputs]
        return ticket

    def start_initial(self, arrays: Sequence[np.ndarray]) -> Ticket:
        """Have the child draw the parameters as the function itself would."""
        return self.remote.ask("initial", arrays, id=self.id)

    def starts(self, leaf: int, times: int, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """How a parameter would start with as many other keys."""
        found = self.remote.ask("starts", arrays, id=self.id, leaf=leaf, times=times).result()[1]
        if [start.shape for start in found] != [self.leaves[leaf].shape] * times:
            raise Lost("garbage", "the process answered with garbage")
        return found

    def run(self, weights: Sequence[np.ndarray], arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs for these weights and inputs."""
        return self.start_run(weights, arrays).result()[1]

    def prepare_gradients(self) -> None:
        """Have the child trace the gradients while it has nothing else to do."""
        self.remote.ask("prepare_gradients", id=self.id)

    def start_gradients(
        self,
        weights: Sequence[np.ndarray],
        arrays: Sequence[np.ndarray],
        cotangents: Sequence[np.ndarray],
    ) -> Ticket:
        """Have the child differentiate the outputs, weighted with cotangents, by each weight."""
        return self.remote.ask(
            "gradients",
            [*weights, *arrays, *cotangents],
            id=self.id,
            weights=len(weights),
            inputs=len(arrays),
        )

    def record(
        self, weights: Sequence[np.ndarray], arrays: Sequence[np.ndarray]
    ) -> tuple[list[np.ndarray], list[np.ndarray], list[int]]:
        """The outputs, every intermediate value, and the line of each."""
        return recorded(self.start_record(weights, arrays))

    def start_record(
        self, weights: Sequence[np.ndarray], arrays: Sequence[np.ndarray], origins: bool = False
    ) -> Ticket:
        """Have the child evaluate the trace and tell every value; ``recorded`` reads them.

        With ``origins`` also what each was computed from; ``made_of`` reads that.
        """
        asked = {"id": self.id, "weights": len(weights), "origins": origins}
        return self.remote.ask("record", [*weights, *arrays], **asked)


def made_of(ticket: Ticket, count: int) -> list[list[int]] | None:
    """The places of the values that each of ``count`` values was computed from, ``INPUT`` among
    them; None where the child does not know, or tells no such thing.
    """
    told = ticket.result()[0].get("made_of")
    if not isinstance(told, list) or len(told) != count:
        return None
    for place, parts in enumerate(told):
        if not isinstance(parts, list):
            return None
        if not all(type(part) is int and INPUT <= part < place for part in parts):
            return None
    return told


def recorded(ticket: Ticket) -> tuple[list[np.ndarray], list[np.ndarray], list[int]]:
    """The outputs, every intermediate value, and the line of each.

    Raises:
      SubmissionError: the submission raised while it was worked out.
      Lost: the child is gone, late, or its answer makes no sense.

    """
    header, values = ticket.result()
    count, lines = header.get("outputs"), header.get("lines")
    if type(count) is not int or count < 0 or not isinstance(lines, list):
        raise Lost("garbage", "the process answered with garbage")
    if len(lines) != len(values) - count or not all(type(n) is int for n in lines):
        raise Lost("garbage", "the process answered with garbage")
    return values[:count], values[count:], lines

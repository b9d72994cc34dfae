"""The child process: it runs a submission and answers the judge's requests with raw arrays.

Nothing here decides anything.  Every answer is data that the judge compares with the
reference; the submission shares this process and may have changed whatever it likes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from grader.blocks import resolve_from_now_on
from grader.engine import wire
from grader.engine.births import Birth
from grader.engine.elsewhen import live_elsewhen
from grader.engine.guard import CLOSED, MAY_NOT, Refused, close_the_answers, without_answers
from grader.engine.origins import Origins
from grader.engine.quick_compile import QUICKLY
from grader.engine.sandbox import isolate, open_the_reserve
from grader.engine.submission import definition, describe_error, is_unwritten, load
from grader.problem import Contract, Problem

if TYPE_CHECKING:
    from grader.engine.traced import Traced

Reply = tuple[dict[str, Any], list[np.ndarray]]


class Worker:
    """Holds one submission and its traces."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.source = ""
        self.filename = ""
        self.module: Any = None
        self.traces: dict[str, Traced] = {}
        self._untraced: dict[str, BaseException] = {}
        self._blocks: dict[str, dict[str, str]] = {}
        self._loaded: dict[int, Any] = {}
        self._asked_for: set[int] = set()
        self._in_a_block = False

    def answer(self, request: dict[str, Any], arrays: list[np.ndarray]) -> Reply:
        """Carry out one request; an exception becomes an answer too."""
        from grader.engine.results import NotAnArray

        try:
            action: Callable[..., Reply] = getattr(self, "do_" + request["do"])
            header, values = action(request, arrays)
            return header, [wire.sendable(value) for value in values]
        except NotAnArray as error:
            return self._failure(error, "not an array"), []
        except BaseException as error:
            if isinstance(error, MemoryError):
                open_the_reserve()
            unwritten = is_unwritten(error, self.filename)
            failure = self._failure(error, "not implemented" if unwritten else "exception")
            failure["error"]["frames"] = failure["error"]["frames"] or self._begins(request)
            return failure, []

    def _begins(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        """Where the function that was called begins, for an exception raised outside of it."""
        try:
            return definition(self._contract(request)[1], self.filename, self.source)
        except BaseException:  # no function was called, or it raises when it is looked at
            return []

    def _failure(self, error: BaseException, kind: str) -> dict[str, Any]:
        try:
            told = describe_error(error, self.filename, self.source)
            if isinstance(error, PermissionError) and not isinstance(error, Refused):
                told["message"] = f"{told['message']} ({MAY_NOT})"
        except BaseException:  # it may raise when it is looked at
            told = {"type": "an exception", "message": "(it cannot be shown)", "frames": []}
        return {"error": {"kind": kind, **told}}

    def do_load(self, request: dict[str, Any], _: list[np.ndarray]) -> Reply:
        """Execute the file; say which contract functions it defines, with which arguments."""
        self.source, self.filename = request["source"], request["filename"]
        self._blocks = request["blocks"]
        resolve_from_now_on(self._block)
        self.module = load(self.source, self.filename)
        return {
            "functions": [_signature(self.module, c) for c in self.problem.contracts],
            "used": sorted(self._asked_for),
        }, []

    def _block(self, number: int) -> Any:
        """What ``use(number)`` gives a submission: the judge has chosen whose it is."""
        if not self._in_a_block:
            self._asked_for.add(number)
        if number not in self._loaded:
            told = self._blocks.get(str(number))
            if told is None:
                raise LookupError(
                    f"use({number}) is not available in problem {self.problem.number}"
                )
            around, self._in_a_block = self._in_a_block, True
            try:
                self._loaded[number] = load(told["source"], told["filename"], f"block_{number}")
            finally:
                self._in_a_block = around
        return self._loaded[number]

    def _contract(self, request: dict[str, Any]) -> tuple[Contract, Callable[..., Any]]:
        contract = self.problem.contracts[request["contract"]]
        return contract, getattr(self.module, contract.function)

    def do_trace(self, request: dict[str, Any], _: list[np.ndarray]) -> Reply:
        """Trace a contract function at one draw of sizes; tell what it creates and returns."""
        from grader.engine.jaxprs import random_line, stops_gradients
        from grader.engine.traced import Traced

        contract, function = self._contract(request)
        try:
            traced = Traced(
                contract,
                function,
                request["seed"],
                request["sizes"],
                request["batch"],
                request["drawn"],
            )
        except BaseException as error:
            self._untraced[request["id"]] = error
            raise
        self.traces[request["id"]] = traced
        return {
            "leaves": [asdict(leaf) for leaf in traced.leaves],
            "collections": sorted(traced.collections),
            "outputs": [asdict(output) for output in traced.outputs],
            "form": traced.form,
            "narrow": traced.narrow,
            "random": random_line(traced.closed.jaxpr, self.filename),
            "stops": stops_gradients(traced.closed.jaxpr),
        }, []

    def do_cut(self, request: dict[str, Any], _: list[np.ndarray]) -> Reply:
        """The parameters with those that are cut apart in pieces; which elements each piece is."""
        leaves = self._trace(request).in_pieces()
        parts = [leaf.part.elements for leaf in leaves if leaf.part is not None]
        told = [{**asdict(replace(x, part=None)), "part": x.part is not None} for x in leaves]
        return {"leaves": told}, parts

    def _trace(self, request: dict[str, Any]) -> Traced:
        """The trace that a request is about; one that failed raises what it raised then."""
        if request["id"] in self._untraced:
            raise self._untraced[request["id"]]
        return self.traces[request["id"]]

    def do_run(self, request: dict[str, Any], arrays: list[np.ndarray]) -> Reply:
        """Evaluate a trace with the weights and inputs given."""
        weights, inputs = arrays[: request["weights"]], arrays[request["weights"] :]
        return {}, self._trace(request).run(weights, inputs)

    def do_record(self, request: dict[str, Any], arrays: list[np.ndarray]) -> Reply:
        """Evaluate a trace and tell every intermediate value with its line."""
        weights, inputs = arrays[: request["weights"]], arrays[request["weights"] :]
        traced = self._trace(request)
        origins = Origins(inputs) if request["origins"] else None
        outputs, seen = traced.run_recorded(weights, inputs, self.filename, origins)
        lines = [intermediate.line for intermediate in seen]
        values = [intermediate.value for intermediate in seen]
        made_of = origins.made_of if origins is not None else None
        told = {"outputs": len(outputs), "lines": lines, "made_of": made_of}
        return told, [*outputs, *values]

    def do_initial(self, request: dict[str, Any], arrays: list[np.ndarray]) -> Reply:
        """The parameters as the function itself would draw them; what its keys are made of."""
        values, numbers = self._trace(request).initial_values(arrays)
        return {"keys": list(dict.fromkeys(numbers))}, values

    def do_starts(self, request: dict[str, Any], arrays: list[np.ndarray]) -> Reply:
        """How a parameter would start with other keys."""
        return {}, self._trace(request).starts(request["leaf"], request["times"], arrays)

    def do_prepare_gradients(self, request: dict[str, Any], _: list[np.ndarray]) -> Reply:
        """Trace what ``gradients`` will evaluate, before its weights are known."""
        self._trace(request).gradient_program  # noqa: B018
        return {}, []

    def do_gradients(self, request: dict[str, Any], arrays: list[np.ndarray]) -> Reply:
        """Gradients of the outputs, weighted with cotangents, with respect to each weight."""
        weights, rest = arrays[: request["weights"]], arrays[request["weights"] :]
        inputs, cotangents = rest[: request["inputs"]], rest[request["inputs"] :]
        return {}, self._trace(request).gradients(weights, inputs, cotangents)

    def do_compile(self, request: dict[str, Any], arrays: list[np.ndarray]) -> Reply:
        """Run a trace through XLA, in float32, as a student's ``jax.jit`` would."""
        import jax

        traced = self._trace(request)
        weights, inputs = arrays[: request["weights"]], arrays[request["weights"] :]
        weights = [weight.astype(np.float32) for weight in weights]
        inputs = [x.astype(np.float32) if x.dtype == np.float64 else x for x in inputs]
        with jax.disable_jit(False):  # whatever the submission has set
            compiled = jax.jit(traced.pure).lower(weights, inputs).compile(QUICKLY)
            return {}, [np.asarray(value) for value in compiled(weights, inputs)]


def _signature(module: Any, contract: Contract) -> dict[str, Any]:
    function = getattr(module, contract.function, None)
    if function is None:
        defined = [
            name
            for name, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__
        ]
        return {"found": False, "defined": [str(name) for name in defined][:20]}
    if not callable(function):
        return {"found": False, "defined": [], "is": type(function).__name__}
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return {"found": True, "arguments": None}
    return {
        "found": True,
        "arguments": [
            p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ],
        "required": [
            p.name
            for p in parameters
            if p.default is p.empty
            and p.kind is not p.VAR_POSITIONAL
            and p.kind is not p.VAR_KEYWORD
        ],
        "open": any(p.kind is p.VAR_POSITIONAL for p in parameters),
    }


def serve(birth: Birth, parent: int, requests: int, replies: int) -> None:
    """Give up every right that is not needed, then answer the judge until it hangs up.

    Whatever this process is to know of the problem it learns before; the first message says
    which protections are not available here.
    """
    problem = without_answers(birth.problem)
    missing = isolate(birth.scratch, birth.seconds, parent, CLOSED)
    close_the_answers()
    if birth.elsewhen:
        live_elsewhen()
    wire.send(replies, {"missing": missing})
    worker = Worker(problem)
    while True:
        try:
            request, arrays = wire.receive(requests)
        except wire.WireError:
            return
        header, values = worker.answer(request, arrays)
        wire.send(replies, header, values)

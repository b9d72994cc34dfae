"""Turn a contract function into a pure function of (weights, inputs).

Wherever a submission calls Linen's ``init`` (directly, under ``jit``, through
``init_with_output`` or ``nn.init``), the hook below replaces the freshly drawn variables by
the outputs of one equation, ``linen_init``.  The equation carries the paths of the variables
and the program that would have drawn them, so a traced submission is plain data: whoever
evaluates it decides which weights flow in, and no tracer can leak out of a cached ``jit``.

This is the one module that reaches into Flax: it replaces ``flax.core.init``, the function
that every way of initialising a Linen module ends in, ``nn.Module.init`` (only to know that
the output is not wanted) and ``flax.core.Scope.param`` (only for speed: half of the time of a
trace goes into initialisers whose values nobody looks at).  ``CHECKED_ON`` names the versions
that it was checked on; with others ``check_hooks`` tries it out first and says so plainly when
it no longer fits.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import flax
import flax.core
import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.extend import core as jex
from jax.interpreters import partial_eval

from grader.engine import known_calls
from grader.engine.init_equation import (
    LEARNED_OR_STATE,
    Inventory,
    created_variables,
    init_equations,
    linen_init,
    unlooked_at,
)

CHECKED_ON = {"flax": ("0.12",), "jax": ("0.10", "0.11", "0.12")}


class NotAsForeseen(Exception):
    """A function calls ``init`` more often than the one that it was expected to resemble."""


class _FirstInit(Exception):
    """Ends a trace of which only the variables of the first ``init`` are asked for."""


class _State:
    tracing = False
    lifting = False
    first_init_only = False
    shapes_only = False
    output_unwanted = False
    foreseen: list[Inventory] | None = None


def _path_words(key_path: tuple[Any, ...]) -> list[str]:
    words = [str(getattr(key, "key", getattr(key, "name", key))) for key in key_path]
    return [word for word in words if word]


def _lifted_variables(draw: Callable[[], Any]) -> Any:
    """The tree that ``draw()`` would return, as outputs of one ``linen_init`` equation."""
    if _State.foreseen is not None:
        return _foreseen_variables(_State.foreseen)
    _State.lifting = False  # an initialiser may call another module's ``init``
    try:
        closed, shapes = jax.make_jaxpr(draw, return_shape=True)()
    finally:
        _State.lifting = True
    leaves, tree = jax.tree_util.tree_flatten_with_path(shapes)
    if _State.first_init_only:
        raise _FirstInit(Counter(math.prod(leaf.shape) for _, leaf in leaves))
    if not leaves:
        return draw()
    paths = ["/".join(_path_words(path)) for path, _ in leaves]
    buffers = _buffers(closed, paths)
    created = [i for i in range(len(paths)) if i not in buffers]
    program, used = _pruned(closed, created)
    constants = [v for v, is_used in zip(closed.consts, used, strict=True) if is_used]
    values = linen_init.bind(*constants, program=program, paths=tuple(paths[i] for i in created))
    together = {**buffers, **dict(zip(created, values, strict=True))}
    return jax.tree_util.tree_unflatten(tree, [together[i] for i in range(len(paths))])


def _buffers(closed: Any, paths: Sequence[str]) -> dict[int, Any]:
    """Values of the variables that are neither parameters nor state but constants, by place.

    Ids of positions, a mask: no key and no input decides what they are.
    """
    places = [i for i, path in enumerate(paths) if path.split("/")[0] not in LEARNED_OR_STATE]
    if not places:
        return {}
    program, used = _pruned(closed, places)
    return {} if any(used) else dict(zip(places, jex.jaxpr_as_fun(program)(), strict=True))


def _foreseen_variables(foreseen: list[Inventory]) -> Any:
    if not foreseen:
        raise NotAsForeseen
    inventory = foreseen.pop(0)
    values = linen_init.bind(program=inventory.program, paths=inventory.paths)
    tree: dict[str, Any] = {}
    for path, value in zip(inventory.paths, values, strict=True):
        *folders, name = path.split("/")
        place = tree
        for folder in folders:
            place = place.setdefault(folder, {})
        place[name] = value
    return tree


def _pruned(closed: Any, places: Sequence[int]) -> tuple[Any, list[bool]]:
    """``closed`` for the results at some places, with the constants that these need as inputs."""
    old = closed.jaxpr
    names = old.debug_info.with_unknown_names()
    open_jaxpr = old.replace(constvars=[], invars=old.constvars, debug_info=names)
    wanted = [i in places for i in range(len(old.outvars))]
    jaxpr, used = partial_eval.dce_jaxpr(open_jaxpr, wanted)
    return jex.ClosedJaxpr(jaxpr, []), used


def _hooked_core_init(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def init(fn: Any, mutable: Any = True, flags: Mapping[str, Any] | None = None) -> Any:
        plain = original(fn, mutable, flags)

        def wrapper(rngs: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
            if not _State.lifting:
                return plain(rngs, *args, **kwargs)  # type: ignore[no-any-return]
            unwanted, _State.output_unwanted = _State.output_unwanted, False
            variables = _lifted_variables(lambda: plain(rngs, *args, **kwargs)[1])
            if unwanted:
                return None, variables
            streams = rngs if isinstance(rngs, Mapping) else {"params": rngs}
            output = flax.core.apply(fn, mutable=False, flags=flags)(
                variables, *args, rngs=streams, **kwargs
            )
            return output, variables

        return wrapper

    return init


def _hooked_module_init(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> Any:
        _State.output_unwanted = _State.lifting
        try:
            return original(self, *args, **kwargs)
        finally:
            _State.output_unwanted = False

    return init


def _hooked_param(original: Callable[..., Any]) -> Callable[..., Any]:
    """``Scope.param`` that draws no values when only shapes are asked for, and none to compare.

    What it leaves out when a parameter exists already is Flax's check that its shape is what
    the initialiser would give; that holds when the initialiser is asked for the same again.
    """

    @functools.wraps(original)
    def param(
        self: Any, name: str, init_fn: Any, *args: Any, unbox: bool = True, **kwargs: Any
    ) -> Any:
        plain = bool(args) and not kwargs and _returns_its_shape(init_fn)
        if not (_State.tracing and plain):
            return original(self, name, init_fn, *args, unbox=unbox, **kwargs)
        if not self.has_variable("params", name):
            may_create = self.has_rng("params") and self.is_mutable_collection("params")
            if not (_State.shapes_only and may_create):
                return original(self, name, init_fn, *args, unbox=unbox)
            self.reserve(name, "params")
            key = self.rngs["params"]
            value = _undrawn(getattr(key, "rng", key), *args)  # any key: nobody asks for the value
            self.put_variable("params", name, value)
            return value
        value = flax.core.meta.unbox(self.get_variable("params", name))
        if getattr(value, "shape", None) != args[0]:
            return original(self, name, init_fn, *args, unbox=unbox)
        self.reserve(name, "params")
        return value if unbox else self.get_variable("params", name)

    return param


def _returns_its_shape(init_fn: Any) -> bool:
    """Whether this is an initialiser of the libraries, called with a shape and perhaps a dtype."""
    home = getattr(init_fn, "__module__", None) or ""
    return home.startswith(("jax.", "flax."))


def _undrawn(key: Any, shape: Any, dtype: Any = jnp.float32) -> Any:
    kind = jax.dtypes.canonicalize_dtype(jnp.float32 if dtype is None else dtype)
    return unlooked_at.bind(key, shape=tuple(shape), dtype=kind)


def install_hooks() -> None:
    """Put the hooks in place, once per process.  They do nothing outside ``lifting()``."""
    if hasattr(flax.core.init, "__wrapped__"):
        return
    flax.core.init = _hooked_core_init(flax.core.init)
    nn.Module.init = _hooked_module_init(nn.Module.init)
    flax.core.Scope.param = _hooked_param(flax.core.Scope.param)


@contextmanager
def lifting(
    shapes_only: bool = False, foreseen: Sequence[Inventory] | None = None
) -> Iterator[None]:
    """Within this block every Linen ``init`` yields lifted variables.

    With ``shapes_only`` the program that would draw them is left out: quicker, but their
    initial values cannot be asked for.  With ``foreseen`` an ``init`` is not even traced: it
    yields what is expected of it, and Flax raises where the model then asks for anything else.
    """
    install_hooks()
    before = _State.tracing, _State.lifting, _State.shapes_only, _State.foreseen
    _State.tracing, _State.lifting, _State.shapes_only = True, True, shapes_only
    _State.foreseen = None if foreseen is None else list(foreseen)
    try:
        yield
    finally:
        _State.tracing, _State.lifting, _State.shapes_only, _State.foreseen = before
        _State.output_unwanted = False


def trace(
    function: Callable[..., Any],
    *inputs: Any,
    shapes_only: bool = False,
    foreseen: Sequence[Inventory] | None = None,
) -> tuple[Any, Any]:
    """The lifted jaxpr of ``function(*inputs)`` and the tree of its output shapes.

    ``inputs`` are pytrees of arrays or ``jax.ShapeDtypeStruct``; everything else that the
    function needs must be closed over.
    """
    with lifting(shapes_only, foreseen):
        return jax.make_jaxpr(function, return_shape=True)(*inputs)


def sizes_created(function: Callable[..., Any], *inputs: Any) -> Counter[int]:
    """The sizes of the variables that the first ``init`` in a function creates.

    Quicker than a trace: the rest of the function is not even looked at, nor are calls of modules
    of which it is known what they create.
    """
    _State.first_init_only = True
    filtering = jax.config.jax_traceback_filtering  # type: ignore[attr-defined]
    jax.config.update("jax_traceback_filtering", "off")  # of an exception that is only a way out
    try:
        with nn.intercept_methods(known_calls.reuse):
            trace(function, *inputs, shapes_only=True)
    except _FirstInit as first:
        sizes: Counter[int] = first.args[0]
        return sizes
    finally:
        _State.first_init_only = False
        jax.config.update("jax_traceback_filtering", filtering)
    return Counter()


def check_hooks() -> str | None:
    """None when the hooks work with the installed Flax, else one line that says they do not."""
    versions = {"flax": flax.__version__, "jax": jax.__version__}
    if all(".".join(versions[n].split(".")[:2]) in checked for n, checked in CHECKED_ON.items()):
        return None

    def model(x: Any) -> Any:
        dense = nn.Dense(2)
        return dense.apply(dense.init(jax.random.key(0), x), x)

    try:
        closed, _ = trace(model, jax.ShapeDtypeStruct((3,), jnp.float32))
        paths = [v.path for eqn in init_equations(closed.jaxpr) for v in created_variables(eqn)]
        found = "" if sorted(paths) == ["bias", "kernel"] else f"found {paths}"
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
    if not found:
        return None
    wanted = " and ".join(f"{name} {' or '.join(known)}" for name, known in CHECKED_ON.items())
    here = " and ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"the grader was checked on {wanted}; with {here} it cannot follow Linen's init "
        f"({found[:120]}); install the versions in constraints.txt"
    )

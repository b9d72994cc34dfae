"""What usually stands behind an exception of JAX, Flax or Python, in a student's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from grader.engine.causes import Cause, lengths_apart, one_row_apart, vector_with_rows

_KEY = "jax.random.key(seed) makes a key; init takes the key first, then the inputs."
_TRACED = (
    "Under jax.jit and jax.vmap an array has a shape but no values yet; the grader traces your "
    "function the same way."
)

RANDOM = Cause(
    "random-at-run-time",
    "",
    "",
    "random numbers are drawn while the model runs: dropout, or what should be a parameter?",
    "Nothing here is random once the parameters are drawn. Leave the dropout out, or make it "
    "deterministic; what is learned is made by self.param, which draws it in init alone.",
)

NOT_LINEN = Cause(
    "not-linen",
    "",
    "",
    "the parameters are not made by Linen",
    "Numbers are drawn while the function runs, and no Linen module has parameters. Make them by "
    "the layers of flax.linen or by self.param, draw them by init and hand them to apply: then "
    "they can be looked at, trained and saved.",
)
KEPT = Cause(
    "kept-from-earlier",
    "TracerArrayConversionError|UnexpectedTracerError|ConcretizationTypeError",
    "",
    "a value is kept from an earlier call and used in a later one",
    "The first call works, and the same call fails when it is made again: a global, a cache or a "
    "default argument still holds what was made under another trace. Make everything anew in each "
    "call, and hand values on by returning them.",
)
"""Where a call fails that worked before: the exception alone has other causes."""

CAUSES: tuple[Cause, ...] = (
    Cause(
        "traced-condition",
        "TracerBoolConversionError",
        "",
        "the value of an array decides an `if`, a `while` or an `and`",
        f"{_TRACED} jnp.where chooses between two values; sizes such as x.shape[0] are plain "
        "numbers and may stand in an `if`.",
    ),
    Cause(
        "numpy-on-traced",
        "TracerArrayConversionError",
        "",
        "a NumPy function is applied to a JAX array that is being traced",
        f"{_TRACED} NumPy needs the values: use the function of the same name in jax.numpy.",
    ),
    Cause(
        "traced-size",
        "TracerIntegerConversionError|ConcretizationTypeError|NonConcreteBooleanIndexError",
        "",
        "the value of an array is used as a Python number, a size or an index",
        f"{_TRACED} Sizes must follow from shapes and hyperparameters, not from values.",
    ),
    Cause(
        "traced-size",
        "TypeError",
        "Shapes must be 1D sequences of concrete values",
        "a shape depends on the value of an array",
        f"{_TRACED} Sizes must follow from shapes and hyperparameters, not from values.",
    ),
    Cause(
        "array-as-key",
        "TypeError|ValueError",
        r"unhashable type: '(\w*Tracer|ArrayImpl)'|Non-hashable static arguments",
        "an array is used as a key: of a cache, a dictionary or a set",
        "functools.lru_cache and static arguments of jax.jit look results up by the arguments, and "
        "an array cannot be looked up by: leave the cache out, or let only numbers go into it.",
    ),
    Cause(
        "leaked-tracer",
        "UnexpectedTracerError",
        "",
        "an array made inside a traced function is used outside of it",
        "A function under jax.jit or jax.vmap hands values on by returning them, not by storing "
        "them in a global, a list or an attribute.",
    ),
    Cause(
        "in-place",
        "TypeError",
        "immutable",
        "an element of a JAX array is assigned in place",
        "JAX arrays do not change. x.at[i].set(v) returns a new array; often jnp.concatenate or "
        "jnp.where says more plainly what is meant.",
    ),
    Cause(
        "key-from-int",
        "InvalidRngError|TypeError",
        "RNGs should be of shape|invalid PRNG key data",
        "an integer or an array stands where a random key belongs",
        _KEY,
    ),
    replace(RANDOM, type="InvalidRngError", message=r'needs PRNG for "(?!params)'),
    Cause(
        "no-init",
        "InvalidRngError",
        'needs PRNG for "params"',
        "apply has no key: either it was called without the parameters, or something is drawn "
        "there that self.param should make",
        "A Linen module is only a description. init(key, inputs) makes its variables, those that "
        "self.param asks for; apply(variables, inputs) uses them, and draws nothing.",
    ),
    Cause(
        "no-init",
        "CallCompactUnboundModuleError",
        "",
        "a module is called before its parameters exist: init is missing",
        "A Linen module is only a description. init(key, inputs) makes its variables, "
        "apply(variables, inputs) uses them; model(inputs) works only inside another module.",
    ),
    Cause(
        "wrong-variables",
        "ScopeCollectionNotFound|ScopeParamNotFoundError|ApplyScopeInvalidVariables.*|KeyError",
        r"collection is empty|Could not find parameter|top-level|^'?params'?$",
        "apply does not get the variables in the form in which init returns them",
        'init returns a dictionary {"params": …}, and apply wants it as it is; what you take out '
        'of it ("params" alone) has to be wrapped again.',
    ),
    Cause(
        "other-shape-at-apply",
        "ScopeParamShapeError",
        "",
        "a parameter is made for one shape and used with another",
        "init and apply must see inputs of the same shape, and a module that is called twice "
        "shares its parameters.",
    ),
    Cause(
        "name-twice",
        "NameInUseError",
        "",
        "two submodules or parameters of one module have the same name",
        "Each needs a name of its own; in a loop put the index into it.",
    ),
    Cause(
        "field-twice",
        "SetAttributeInModuleSetupError",
        "",
        "setup assigns to a field that the module already has",
        "A field of the class is a hyperparameter and fixed; give the submodule another name.",
    ),
    Cause(
        "state-in-call",
        "SetAttributeFrozenModuleError",
        "",
        "a module's attribute is assigned outside of setup",
        "Linen modules are frozen: keep intermediate values in local variables, make submodules "
        "in setup or under @nn.compact.",
    ),
    Cause(
        "not-compact",
        "AssignSubModuleError",
        "",
        "a submodule is made in a method that is not decorated with @nn.compact",
        "Make submodules in setup, or decorate the method that makes them.",
    ),
    Cause(
        "heads-do-not-divide",
        "AssertionError|ValueError|TypeError",
        "divisible by (the )?number of heads|divisible by num_heads",
        "the width does not divide by the number of heads",
        "Look at what reaches the attention as width and as number of heads: are the arguments "
        "in the order of the contract, is the width d_model?",
    ),
    Cause(
        "vector-with-rows",
        "TypeError",
        r"Cannot concatenate arrays with different numbers of dimensions",
        "a vector (D,) is concatenated with rows (N, D)",
        "jnp.concatenate joins arrays with the same number of axes: one row has the shape (1, D).",
        vector_with_rows,
    ),
    Cause(
        "axes-differ-in-number",
        "TypeError",
        r"Cannot concatenate arrays with different numbers of dimensions",
        "arrays with different numbers of axes are concatenated",
        "jnp.concatenate joins along an axis that exists in all of them; a batch axis in one "
        "only is a common cause.",
    ),
    Cause(
        "widths-differ",
        "TypeError",
        "Cannot concatenate arrays with shapes that differ",
        "the arrays to concatenate differ in another axis than the one they are joined along",
        "Say along which axis you join (axis=0: more rows), and compare the other lengths.",
    ),
    Cause(
        "one-row-apart",
        "TypeError|ValueError",
        "incompatible shapes for broadcasting",
        "one of the two sequences has a row more than the other",
        "Count the tokens: with a CLS token there are N + 1 rows, and a table that is added to "
        "them needs as many.",
        one_row_apart,
    ),
    Cause(
        "lengths-apart",
        "TypeError|ValueError",
        "incompatible shapes for broadcasting",
        "sequences of different lengths are combined element by element",
        "Adding needs equal shapes (or a length of 1); rows that come on top are concatenated.",
        lengths_apart,
    ),
    Cause(
        "reshape-size",
        "TypeError",
        "cannot reshape array of shape",
        "a reshape to a shape with another number of elements",
        "The lengths of the new shape multiply to the old number of elements. Height, width, "
        "patches and heads each have their own length: none of them can stand for another.",
    ),
    Cause(
        "contraction",
        "TypeError|ValueError",
        "contracting dimensions|Size of label",
        "two arrays are multiplied along axes of different lengths",
        "Write the axes of both arrays beside each other; the summed one must be the same.",
    ),
    Cause(
        "axis-missing",
        "IndexError|ValueError|AxisError",
        "tuple index out of range|axis .* is out of bounds",
        "an axis is asked for that an array does not have, or an entry that a tuple does not have",
        "A shape has an entry for each axis, and models here have no batch axis: (N, D) has the "
        "axes 0 and 1. A mean or sum without axis= leaves a single number.",
    ),
    Cause(
        "several-arrays",
        "TypeError",
        "Only integer scalar arrays can be converted to a scalar index",
        "jnp.concatenate or jnp.stack gets the arrays one by one",
        "They take one list or tuple of arrays, then the axis.",
    ),
    Cause(
        "gradient-of-array",
        "TypeError",
        "Gradient only defined for scalar-output functions",
        "jax.grad is applied to a function that returns an array",
        "A loss is one number; average it first. Further results go through has_aux=True.",
    ),
    Cause(
        "torch-names",
        "AttributeError",
        r"jax\.numpy' has no attribute|(Array|Tracer)\w*' object has no attribute",
        "jax.numpy has no function of this name",
        "The names are NumPy's: concatenate, expand_dims, transpose, swapaxes, tile, clip.",
    ),
    Cause(
        "field-missing",
        "TypeError",
        r"__init__\(\) missing \d+ required|__init__\(\) got an unexpected keyword",
        "a module is made with other fields than it declares",
        "The fields of a Linen module are the arguments of its class, in the order in which they "
        "are declared.",
    ),
    Cause(
        "calls-itself",
        "RecursionError",
        "",
        "a function or module calls itself without end",
        "Look at the lines above: a name that hides an import, or a module that makes itself?",
    ),
)


def cause_of(error: Mapping[str, Any]) -> Cause | None:
    """The first known cause that explains an exception."""
    return next((cause for cause in CAUSES if cause.explains(error)), None)

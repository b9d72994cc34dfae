"""Mutate every reference mechanically and see whether its grader notices: ``make mutants``.

The mutations know nothing of the pitfalls: operators are exchanged, numbers changed, keyword
arguments and calls dropped, arguments exchanged, variables taken for others, statements left out.
What the grader passes is printed as a survivor; a survivor is either an equivalent program, listed
in ``mutants_equivalent.json`` with the reason, or calls for a better check.  The figures go into
``tests/mutants.json`` and, from there, into the README.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path

from grader import catalogue
from grader.engine.warm_grader import WarmGrader

RESULTS = Path(__file__).with_name("mutants.json")
MOST = 60
WORKERS = 2

EQUIVALENT = {
    (entry["problem"], entry["mutant"]): entry["why"]
    for entry in json.loads(Path(__file__).with_name("mutants_equivalent.json").read_text())
}
"""Mutants that compute the same: (problem, what was changed) to why."""

_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult,
}
_MARKS = {"checkpoint_name"}
_SUM = re.compile(r"[a-z,]+->[a-z]+$")


def mutants(source: str) -> Iterator[tuple[str, str]]:
    """Every mutant of a solution: what was changed, and the text."""
    tree = _without_signs(ast.parse(source))
    for index, node in enumerate(ast.walk(tree)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield from _other_names(tree, index, node, source)
        for number, (what, _) in enumerate(_changes(node)):
            copy = deepcopy(tree)
            twin = list(ast.walk(copy))[index]
            list(_changes(twin))[number][1]()
            try:
                text = ast.unparse(ast.fix_missing_locations(copy))
            except (ValueError, TypeError, AttributeError):
                continue
            line = getattr(node, "lineno", 0)
            if text != ast.unparse(tree):
                yield f"{what} in: {_line(source, line)}", text


def _without_signs(tree: ast.Module) -> ast.Module:
    """The module without the annotations of functions: they compute nothing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
            for argument in (*node.args.args, *node.args.kwonlyargs):
                argument.annotation = None
    return tree


def _other_names(
    tree: ast.Module, index: int, node: ast.Name, source: str
) -> Iterator[tuple[str, str]]:
    """The variable replaced by another one of the same function."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and node in set(ast.walk(function)):
            arguments = {a.arg for a in function.args.args} - {"self"}
            stored = {
                n.id
                for n in ast.walk(function)
                if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
            }
            names = sorted(arguments | stored)
            if node.id not in names:
                return
            for other in names:
                if other != node.id:
                    copy = deepcopy(tree)
                    twin = list(ast.walk(copy))[index]
                    assert isinstance(twin, ast.Name)
                    twin.id = other
                    what = f"{node.id} to {other} in: {_line(source, node.lineno)}"
                    yield what, ast.unparse(copy)
            return


def _line(source: str, number: int) -> str:
    return source.splitlines()[number - 1].strip() if number else ""


def _changes(node: ast.AST) -> Iterator[tuple[str, object]]:
    """The ways to change one node, each with a function that does it in place."""
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        other = _OPERATORS[type(node.op)]
        yield f"{type(node.op).__name__} to {other.__name__}", lambda: _set(node, "op", other())
        if isinstance(node.op, ast.Sub | ast.Div):
            yield "operands exchanged", lambda: _swap(node, "left", "right")
    elif isinstance(node, ast.Call):
        yield from _call_changes(node)
    elif isinstance(node, ast.Constant) and _is_number(node):
        value = node.value
        yield f"{value} to {value + 1}", lambda: _set(node, "value", value + 1)
        if isinstance(value, float):
            yield f"{value} to {2 * value}", lambda: _set(node, "value", 2 * value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _SUM.match(node.value):
        for other in _other_sums(node.value):
            yield f"{node.value} to {other}", lambda other=other: _set(node, "value", other)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "minus dropped", lambda: _set(node, "op", ast.UAdd())
    elif isinstance(node, ast.Tuple) and len(node.elts) == 2 and isinstance(node.ctx, ast.Load):
        yield f"exchanged: {ast.unparse(node)}", node.elts.reverse
    elif isinstance(node, ast.FunctionDef) and len(node.body) > 2:
        for i, statement in enumerate(node.body):
            if isinstance(statement, ast.Assign) and _reassigns(node, i):
                yield f"left out: {ast.unparse(statement)[:50]}", lambda i=i: node.body.pop(i)


def _call_changes(node: ast.Call) -> Iterator[tuple[str, object]]:
    name = ast.unparse(node.func)
    if name in _MARKS or name in ("use", "jnp.asarray"):
        return
    for i, keyword in enumerate(node.keywords):
        if keyword.arg not in (None, "name"):
            yield f"{keyword.arg}= dropped", lambda i=i: node.keywords.pop(i)
    if len(node.args) == 1 and isinstance(node.func, ast.Attribute) and not name.endswith("key"):
        yield f"{name} dropped", lambda: _become(node, node.args[0])
    if len(node.args) == 2:
        yield f"arguments of {name} exchanged", node.args.reverse


def _other_sums(equation: str) -> list[str]:
    """Einsum equations with the output transposed, or an operand."""
    left, right = equation.split("->")
    first, _, second = left.partition(",")
    others = [f"{left}->{right[1:]}{right[0]}", f"{left}->{right[::-1]}"]
    if second:
        others.append(f"{first},{second[::-1]}->{right}")
        others.append(f"{first[::-1]},{second}->{right}")
    return [other for other in dict.fromkeys(others) if other != equation]


def _is_number(node: ast.Constant) -> bool:
    return isinstance(node.value, int | float) and not isinstance(node.value, bool)


def _reassigns(function: ast.FunctionDef, index: int) -> bool:
    """Whether the statement gives a new value to a name that had one: it can be left out."""
    statement = function.body[index]
    assert isinstance(statement, ast.Assign)
    target = ast.unparse(statement.targets[0])
    if ast.unparse(statement.value).startswith(f"checkpoint_name({target},"):
        return False  # only the mark of a stage
    earlier = [ast.unparse(s) for s in function.body[:index] if isinstance(s, ast.Assign)]
    arguments = [a.arg for a in function.args.args]
    return target in arguments or any(text.startswith(f"{target} = ") for text in earlier)


def _set(node: ast.AST, name: str, value: object) -> None:
    setattr(node, name, value)


def _swap(node: ast.AST, one: str, other: str) -> None:
    first, second = getattr(node, one), getattr(node, other)
    setattr(node, one, second)
    setattr(node, other, first)


def _become(node: ast.Call, argument: ast.expr) -> None:
    """Turn the call ``f(x)`` into ``x``, as ``(lambda v: v)(x)``: nodes cannot change class."""
    node.func = ast.parse("(lambda v: v)", mode="eval").body
    node.keywords = []


def run(number: int) -> dict[str, object]:
    """Grade the mutants of one problem."""
    source = catalogue.solution_path(number).read_text(encoding="utf-8")
    found = list(dict.fromkeys(mutants(source)))
    random.Random(0).shuffle(found)
    chosen = found[:MOST]
    survivors: list[str] = []

    def judge(part: list[tuple[str, str]]) -> None:
        with WarmGrader() as warm, tempfile.TemporaryDirectory() as folder:
            for what, text in part:
                path = Path(folder) / "answer.py"
                path.write_text(text, encoding="utf-8")
                if warm.grade(path, number)["passed"]:
                    survivors.append(what)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(judge, [chosen[i::WORKERS] for i in range(WORKERS)]))
    known = [what for what in survivors if (number, what) in EQUIVALENT]
    unknown = sorted(what for what in survivors if (number, what) not in EQUIVALENT)
    return {
        "mutants": len(chosen) - len(known),
        "rejected": len(chosen) - len(survivors),
        "equivalent": len(known),
        "survivors": unknown,
    }


def main() -> None:
    """Run all problems, or those named; write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("problems", nargs="*", type=int, help="their numbers; all without any")
    numbers = parser.parse_args().problems or list(catalogue.names())
    if unknown := set(numbers) - set(catalogue.names()):
        parser.error(f"there is no problem {min(unknown)}")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for number in numbers:
        results[str(number)] = run(number)
        told = results[str(number)]
        print(f"{number}: {told['rejected']} of {told['mutants']} rejected", flush=True)
        for what in told["survivors"]:
            print(f"  survives: {what}", flush=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Make files out of references: cut, shuffled, with noise, or changed as programs."""

from __future__ import annotations

import ast
import random
from collections.abc import Callable
from dataclasses import dataclass

from grader import catalogue


@dataclass(frozen=True)
class Mutated:
    """A file made from the reference of one problem, and how."""

    problem: int
    how: str
    data: bytes

    @property
    def same_program(self) -> bool:
        """Whether only comments, docstrings, blanks or annotations differ from the reference."""
        return _program(self.data) == _program(_reference(self.problem).encode())


def mutated(seed: int, problems: list[int]) -> Mutated:
    """The file with this number: the same every time."""
    chance = random.Random(seed)
    number = chance.choice(problems)
    how = chance.choice(list(_WAYS))
    return Mutated(number, how, _WAYS[how](_reference(number), chance))


def _reference(number: int) -> str:
    return catalogue.solution_path(number).read_text(encoding="utf-8")


def _program(data: bytes) -> str | None:
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [  # type: ignore[attr-defined]
                line
                for line in body
                if not (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
            ]
    return ast.dump(tree)


def _code_start(lines: list[str]) -> int:
    """The first line after the docstring: most of a reference is text."""
    return next(i for i, line in enumerate(lines) if line.startswith(("import", "from")))


def _cut(text: str, chance: random.Random) -> bytes:
    start = text.index("\nfrom __future__")
    return text[: chance.randrange(start, len(text))].encode()


def _shuffle(text: str, chance: random.Random) -> bytes:
    lines = text.splitlines(keepends=True)
    first = _code_start(lines)
    length = chance.choice((2, 3, 5, len(lines)))
    first = chance.randrange(first, len(lines))
    window = lines[first : first + length]
    chance.shuffle(window)
    return "".join(lines[:first] + window + lines[first + length :]).encode()


def _drop_a_line(text: str, chance: random.Random) -> bytes:
    lines = text.splitlines(keepends=True)
    del lines[chance.randrange(_code_start(lines), len(lines))]
    return "".join(lines).encode()


def _repeat_a_line(text: str, chance: random.Random) -> bytes:
    lines = text.splitlines(keepends=True)
    at = chance.randrange(_code_start(lines), len(lines))
    lines.insert(at, lines[at])
    return "".join(lines).encode()


def _noise(text: str, chance: random.Random) -> bytes:
    data = bytearray(text.encode())
    start = data.index(b"\nfrom __future__")
    for _ in range(chance.choice((1, 1, 2, 8))):
        data[chance.randrange(start, len(data))] = chance.randrange(256)
    return bytes(data)


def _letters(text: str, chance: random.Random) -> bytes:
    data = bytearray(text.encode())
    start = data.index(b"\nfrom __future__")
    for _ in range(chance.choice((1, 1, 2))):
        data[chance.randrange(start, len(data))] = chance.choice(b"abxyz019()[]+-*/=., ")
    return bytes(data)


def _random_bytes(_: str, chance: random.Random) -> bytes:
    return chance.randbytes(chance.choice((0, 1, 7, 400, 20_000)))


def _random_words(text: str, chance: random.Random) -> bytes:
    words = text.split()
    return " ".join(chance.choices(words, k=chance.choice((3, 50, 500)))).encode()


def _change_the_program(text: str, chance: random.Random) -> bytes:
    tree = ast.parse(text)
    for _ in range(chance.choice((1, 1, 2, 3))):
        _change(tree, chance)
    return ast.unparse(ast.fix_missing_locations(tree)).encode()


_OPERATORS = (ast.Add(), ast.Sub(), ast.Mult(), ast.Div(), ast.MatMult(), ast.Pow(), ast.FloorDiv())
_VALUES = (0, 1, -1, 2, 0.5, 10**9, True, None, "x", float("nan"))


def _change(tree: ast.Module, chance: random.Random) -> None:
    """One edit of the tree, at a random place that allows one."""
    nodes = list(ast.walk(tree))
    names = [node.id for node in nodes if isinstance(node, ast.Name)]
    for _ in range(50):
        node = chance.choice(nodes)
        if isinstance(node, ast.Constant) and not isinstance(node.value, str):
            node.value = chance.choice(_VALUES)
        elif isinstance(node, ast.BinOp):
            node.op = chance.choice(_OPERATORS)
            if chance.random() < 0.3:
                node.left, node.right = node.right, node.left
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            node.id = chance.choice(names)
        elif isinstance(node, ast.Call) and node.args:
            chance.choice((node.args.reverse, node.args.pop, node.keywords.clear))()
        elif isinstance(node, ast.Call) and node.keywords:
            node.keywords.pop()
        elif isinstance(node, ast.FunctionDef) and len(node.body) > 1:
            chance.choice((node.body.pop, node.body.reverse, node.decorator_list.clear))()
        elif isinstance(node, ast.arguments) and node.args:
            node.args.pop()
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            node.slice = ast.Constant(chance.choice((0, -1, 5)))
        else:
            continue
        return


_WAYS: dict[str, Callable[[str, random.Random], bytes]] = {
    "cut": _cut,
    "lines shuffled": _shuffle,
    "a line dropped": _drop_a_line,
    "a line repeated": _repeat_a_line,
    "random bytes put in": _noise,
    "random letters put in": _letters,
    "random bytes": _random_bytes,
    "random words": _random_words,
    "the program changed": _change_the_program,
    "the program changed again": _change_the_program,
}

"""Make the stubs in ``problems/`` from the solutions, so that the two never drift apart.

A stub keeps what a student needs: the page (the module's docstring), the imports, the lines
that bring earlier blocks in, and every public function and class with its signature, fields
and docstring.  Bodies and private names go.
"""

from __future__ import annotations

import argparse
import ast
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path

from grader import catalogue
from grader.catalogue import BrokenProblem
from grader.faults import error_words, shown
from grader.study.restart import put_back

Told = tuple[str, bool]
"""A line, and whether it says that something is wrong."""


def stub_of(source: str, name: str) -> str:
    """The stub for the text of a solution; ``name`` is its file name."""
    return _stub(ast.parse(source), source.splitlines(), name)


def _stub(tree: ast.Module, lines: list[str], name: str) -> str:
    kept: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            if not node.name.startswith("_"):
                kept.append(_emptied(node, name))
        elif _is_kept(node):
            kept.append(node)
    defined = [node for node in kept if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    parts = [_page(tree, lines)]
    parts += ["\n".join(lines[node.lineno - 1 : node.end_lineno]) for node in defined[1:]]
    blocks = [n for n in kept if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    text = _joined(defined[1:], parts, lines) + "".join(
        f"\n\n\n{_written(node, lines)}" for node in blocks
    )
    return text.rstrip() + "\n"


def stub_for(number: int) -> str:
    """The stub of a problem, as ``problems/`` holds it at first.

    Raises:
      BrokenProblem: the solution is missing, no Python or without a page.

    """
    tree, source = _read(number)
    return _stub(tree, source.splitlines(), f"problems/{catalogue.solution_path(number).name}")


def page_for(number: int) -> str:
    """The page of a problem: what its stub and its solution open with.

    Raises:
      BrokenProblem: as for ``stub_for``.

    """
    return ast.get_docstring(_read(number)[0]) or ""


def _read(number: int) -> tuple[ast.Module, str]:
    """The solution of a problem, which opens with a page; its text."""
    path, source = catalogue.solution_path(number), catalogue.solution_text(number)
    try:
        tree = ast.parse(source, str(path))
    except SyntaxError as error:
        raise BrokenProblem(error_words(error, path)) from error
    if not ast.get_docstring(tree):
        raise BrokenProblem(f"{shown(path)} has no docstring, the page that students read")
    return tree, source


def _page(tree: ast.Module, lines: list[str]) -> str:
    first = tree.body[0]
    return "\n".join(lines[first.lineno - 1 : first.end_lineno])


def _joined(nodes: list[ast.stmt], parts: list[str], lines: list[str]) -> str:
    """The top of the file, with blank lines where the solution has them."""
    text = parts[0] + "\n"
    for node, part in zip(nodes, parts[1:], strict=True):
        blank = not lines[node.lineno - 2].strip() or node is nodes[0]
        text += ("\n" if blank else "") + part + "\n"
    return text.rstrip()


def _is_kept(node: ast.stmt) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return "checkpoint_name" not in ast.unparse(node)
    if isinstance(node, ast.Assign):
        return "use(" in ast.unparse(node)
    return isinstance(node, ast.Expr)


def _emptied(node: ast.FunctionDef | ast.ClassDef, name: str) -> ast.FunctionDef | ast.ClassDef:
    """The definition with docstrings and fields kept and bodies replaced."""
    kept: list[ast.stmt] = []
    for child in node.body:
        if isinstance(child, ast.FunctionDef) and isinstance(node, ast.ClassDef):
            if not child.name.startswith("_") or child.name == "__call__":
                kept.append(_emptied(child, name))
        elif isinstance(child, ast.AnnAssign) or _is_docstring(child, node):
            kept.append(child)
    if isinstance(node, ast.FunctionDef):
        kept.append(ast.parse(f'raise NotImplementedError("write {node.name} in {name}")').body[0])
    node.body = kept
    return node


def _is_docstring(child: ast.stmt, node: ast.FunctionDef | ast.ClassDef) -> bool:
    return child is node.body[0] and isinstance(child, ast.Expr)


def _written(node: ast.FunctionDef | ast.ClassDef, lines: list[str], indent: str = "") -> str:
    """The definition as text: signature and docstring as the solution has them."""
    start = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    first = node.body[0]
    first_line = min([first.lineno, *(d.lineno for d in getattr(first, "decorator_list", []))])
    header = lines[start - 1 : _header_end(node, lines)]
    parts = ["\n".join(header)]
    for child in node.body:
        if isinstance(child, ast.FunctionDef):
            parts.append("\n" + _written(child, lines, indent + "    "))
        elif isinstance(child, ast.Raise):
            parts.append(f"{indent}    {ast.unparse(child)}".replace("'", '"'))
        else:
            text = "\n".join(lines[child.lineno - 1 : child.end_lineno])
            gap = (
                "\n"
                if isinstance(child, ast.AnnAssign)
                and child.lineno > first_line
                and (not lines[child.lineno - 2].strip())
                else ""
            )
            parts.append(gap + text)
    return "\n".join(parts)


def _header_end(node: ast.FunctionDef | ast.ClassDef, lines: list[str]) -> int:
    """The line of the colon that ends the signature."""
    last = node.lineno
    if isinstance(node, ast.FunctionDef):
        ends = [a.end_lineno or last for a in [*node.args.args, *node.args.kwonlyargs]]
        if node.returns is not None:
            ends.append(node.returns.end_lineno or last)
        last = max([last, *ends])
    while not lines[last - 1].rstrip().endswith(":"):
        last += 1
    return last


def make_files(
    numbers: Iterable[int],
    path_for: Callable[[int], Path],
    text_for: Callable[[int], str],
    check: bool,
) -> Iterator[Told]:
    """Write a file for each problem; with ``check`` only say which ones differ.

    What somebody else has written in the place of a file is kept beside it.
    """
    for number in numbers:
        try:
            path, text = path_for(number), text_for(number)
            if path.exists() and path.read_text(encoding="utf-8", errors="replace") == text:
                continue
            if check:
                yield f"{path.name} is not what `make stubs` writes", True
            else:
                yield _write(path, text), False
        except (BrokenProblem, OSError) as error:
            yield str(error), True


def tell(lines: Iterable[Told]) -> int:
    """Print each line once; how many say that something is wrong."""
    wrong = dict[str, bool]()
    for line, is_wrong in lines:
        if line not in wrong:
            print(line, flush=True)
        wrong[line] = is_wrong
    return sum(wrong.values())


def _write(path: Path, text: str) -> str:
    """Write a file; says so, and where the one before is if git would not give it back."""
    path.parent.mkdir(exist_ok=True)
    kept = None
    if path.exists() and not _is_committed(path):
        kept = put_back(path, text)
    else:
        path.write_text(text, encoding="utf-8")
    return f"wrote {shown(path)}" + (f"; what was there is kept in {kept.name}" if kept else "")


def _is_committed(path: Path) -> bool:
    """Whether the file is as git has it in its last commit; not so where there is no git."""
    asking = ["git", "show", f"HEAD:./{path.name}"]
    try:
        git = subprocess.run(asking, cwd=path.parent, capture_output=True, check=False)  # noqa: S603
    except OSError:
        return False
    return git.returncode == 0 and git.stdout == path.read_bytes()


def asked(description: str | None, check: str) -> tuple[list[int], bool]:
    """The problems that the command line names, and whether it says ``--check``.

    Args:
      description: what the command does.
      check: what ``--check`` does.

    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("problems", nargs="*", type=int, metavar="NN", help="all without any")
    parser.add_argument("--check", action="store_true", help=check)
    options = parser.parse_args()
    for number in options.problems:
        if number not in catalogue.names():
            parser.error(f"there is no problem {number}; there are {catalogue.known()}")
    return options.problems or list(catalogue.names()), options.check


def stub_path(number: int) -> Path:
    """Where the stub of a problem lies."""
    return catalogue.PROBLEMS / catalogue.solution_path(number).name


def main(numbers: Iterable[int], check: bool = False) -> int:
    """Write stubs; with ``check`` only say which ones differ, and what in a spec does not fit its
    solution.  Returns how much is wrong.
    """
    made = make_files(numbers, stub_path, stub_for, check)
    return tell(chain(made, _misfits(numbers)) if check else made)


def _misfits(numbers: Iterable[int]) -> Iterator[Told]:
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    from grader.engine.proofread import proofread

    for number in numbers:
        yield from ((line, True) for line in proofread(number))


if __name__ == "__main__":
    says = "write nothing; say which stubs differ, and which specs do not fit their solutions"
    sys.exit(1 if main(*asked(__doc__, says)) else 0)

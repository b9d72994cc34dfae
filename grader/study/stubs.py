"""Make the stubs in ``problems/`` from the solutions, so that the two never drift apart.

A stub keeps what a student needs: the page (the module's docstring), the imports, the lines
that bring earlier blocks in, and every public function and class with its signature, fields
and docstring.  Bodies and private names go.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from grader import catalogue


def stub_of(source: str, name: str) -> str:
    """The stub for the text of a solution; ``name`` is its file name."""
    tree = ast.parse(source)
    kept: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            if not node.name.startswith("_"):
                kept.append(_emptied(node, name))
        elif _is_kept(node):
            kept.append(node)
    defined = [node for node in kept if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    lines = source.splitlines()
    parts = [_page(tree, lines)]
    parts += ["\n".join(lines[node.lineno - 1 : node.end_lineno]) for node in defined[1:]]
    blocks = [n for n in kept if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    text = _joined(defined[1:], parts, lines) + "".join(
        f"\n\n\n{_written(node, lines)}" for node in blocks
    )
    return text.rstrip() + "\n"


def stub_for(number: int) -> str:
    """The stub of a problem, as ``problems/`` holds it at first."""
    solution = catalogue.solution_path(number)
    return stub_of(solution.read_text(encoding="utf-8"), f"problems/{solution.name}")


def page_for(number: int) -> str:
    """The page of a problem: what its stub and its solution open with."""
    tree = ast.parse(catalogue.solution_path(number).read_text(encoding="utf-8"))
    return ast.get_docstring(tree) or ""


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


def main(check: bool = False) -> int:
    """Write every stub; with ``check`` only say which ones differ.  Returns their number."""
    differing = 0
    for number in catalogue.names():
        stub = catalogue.PROBLEMS / catalogue.solution_path(number).name
        text = stub_for(number)
        if stub.exists() and stub.read_text(encoding="utf-8") == text:
            continue
        differing += 1
        if check:
            print(f"{stub.name} is not what `make stubs` writes")
        else:
            _write(stub, text)
            print(f"wrote {stub.relative_to(catalogue.ROOT)}")
    return differing


def _write(stub: Path, text: str) -> None:
    stub.parent.mkdir(exist_ok=True)
    stub.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    checking = "--check" in sys.argv
    differing = main(checking)
    sys.exit(1 if checking and differing else 0)

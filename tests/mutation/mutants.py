"""The mutants of a module: its source with one thing other than it is. Docstrings, annotations and the words of messages are left alone."""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
CALLED = {"min": "max", "max": "min", "any": "all", "all": "any"}
NESTED = (ast.FunctionDef, ast.ClassDef)


@dataclass(frozen=True)
class Mutant:
    """One change. where: the function; what: the expression before and after, as Python writes it; source: makes the whole module."""

    module: str
    where: str
    what: str
    source: Callable[[], str]

    def __str__(self) -> str:
        return f"{self.module}.{self.where}: {self.what}"


def mutants(module: str, source: str) -> Iterator[Mutant]:
    """All of them, in the order of the source. Two of a function that read alike have numbers."""
    tree, seen = ast.parse(source), Counter[tuple[str, str]]()
    for path, node in _within(tree, ""):
        for other in _others(node):
            what = f"{_said(node)} -> {_said(other)}"
            seen[path, what] += 1
            numbered = what if seen[path, what] == 1 else f"{what} ({seen[path, what]})"
            yield Mutant(module, path, numbered, partial(_with, tree, node, other))


def _within(node: ast.AST, path: str) -> Iterator[tuple[str, ast.AST]]:
    """Every expression and statement of every function, with the function's name."""
    for child in _looked_at(node):
        if isinstance(child, NESTED):
            yield from _within(child, f"{path}.{child.name}".lstrip("."))
        else:
            if path:
                yield path, child
            yield from _within(child, path)


def _looked_at(node: ast.AST) -> Iterator[ast.AST]:
    """Less what says no more than it is: annotations, defaults of classes, docstrings, and the text of f-strings."""
    left_out = {"annotation", "returns", "decorator_list", "bases", "type_params", "format_spec"}
    for name, value in ast.iter_fields(node):
        if name not in left_out:
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and not _is_text(child, node):
                    yield child


def _is_text(child: ast.AST, parent: ast.AST) -> bool:
    docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
    return docstring or (isinstance(parent, ast.JoinedStr) and isinstance(child, ast.Constant)) or isinstance(child, ast.Assert)


def _others(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in its place."""
    match node:
        case ast.Compare(ops=[op, *more]) if type(op) in COMPARED:
            yield ast.Compare(node.left, [COMPARED[type(op)](), *more], node.comparators)
        case ast.BoolOp(op=op, values=values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
            yield from (ast.BoolOp(op, [*values[:n], *values[n + 1 :]]) if len(values) > 2 else values[1 - n] for n in range(len(values)))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.If(test=test) if not isinstance(test, (ast.Compare, ast.BoolOp, ast.UnaryOp)):
            yield ast.If(ast.UnaryOp(ast.Not(), test), node.body, node.orelse)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield body
            yield orelse
        case ast.comprehension(ifs=[_, *_]):
            yield from (ast.comprehension(node.target, node.iter, [*node.ifs[:n], *node.ifs[n + 1 :]], node.is_async) for n in range(len(node.ifs)))
        case ast.Call(func=ast.Name(id=name)) if name in CALLED:
            yield ast.Call(ast.Name(CALLED[name], ast.Load()), node.args, node.keywords)
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() as value):
            yield ast.Constant(value + 1)
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield ast.Return(ast.Constant(None))


def _said(node: ast.AST) -> str:
    text = ast.unparse(node)
    return " ".join(text.split("\n")[0].split())[:160]


def _with(tree: ast.Module, node: ast.AST, other: ast.AST) -> str:
    """The module with the one in place of the other."""
    memo = {id(node): ast.copy_location(other, node)} if hasattr(node, "lineno") else {id(node): other}
    return ast.unparse(ast.fix_missing_locations(copy.deepcopy(tree, memo)))

"""A mutant in place of a function, with no module loaded again: the function gets other code, so that whoever holds it runs the mutant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from types import CodeType, FunctionType, ModuleType


@dataclass(frozen=True)
class Swap:
    """The function, and the code it gets."""

    function: FunctionType
    code: CodeType

    def make(self) -> None:
        self.function.__code__ = self.code


def swap(module: ModuleType, where: str, unchanged: str, source: str) -> Swap | None:
    """What makes the mutant of it. where: the function; unchanged, source: the module without and with the change, both as ast writes them.

    None: no function has other code, as where a default is changed, which was worked out when the module was loaded;
    or the code uses other variables of the functions around it, which only those could hand it.
    """
    if (found := _function(module, where)) is None:
        return None
    before, after = (_code(compile(text, module.__name__, "exec", dont_inherit=True), found.__code__.co_qualname) for text in (unchanged, source))
    if after is None or after == before or after.co_freevars != found.__code__.co_freevars:
        return None
    return Swap(found, after)


def _function(module: ModuleType, where: str) -> FunctionType | None:
    """The outermost one, whose code has that of the functions within it."""
    holder: object = module
    for name in where.split("."):
        holder = _bare(vars(holder).get(name))
        if isinstance(holder, FunctionType):
            return holder
    return None


def _bare(value: object) -> object:
    """Without what makes a property of it."""
    match value:
        case property():
            return value.fget
        case cached_property():
            return value.func
    return value


def _code(module: CodeType, qualname: str) -> CodeType | None:
    return next((code for code in _within(module) if code.co_qualname == qualname), None)


def _within(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _within(constant)

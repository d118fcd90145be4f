"""From the text of an initializer back to the initializer, without running code of the text."""

import ast
from collections.abc import Iterator
from typing import Any

from jaxinit._initializers.base import Initializer
from jaxinit.layouts import FLAX, FLAX_CONV_TRANSPOSE, TORCH, Layout


def from_text(text: str) -> Initializer:
    """Return the initializer whose `repr` is `text`.

    Raises:
        ValueError: `text` is no such text. A name outside of jaxinit is never looked up.

    Example:
        >>> from jaxinit._initializers.text import from_text
        >>> from_text("0.5 * jaxinit.orthogonal(layout=jaxinit.TORCH)")
        0.5 * jaxinit.orthogonal(gain=1.0, layout=jaxinit.TORCH)
    """
    layouts = {"jaxinit.Layout": Layout, **{repr(layout): layout for layout in (FLAX, TORCH, FLAX_CONV_TRANSPOSE)}}
    names = {"float": float, "complex": complex, **layouts, **dict(_named(Initializer))}
    try:
        init = _value(ast.parse(text, mode="eval").body, names)
    except (KeyError, SyntaxError) as error:
        raise ValueError(f"`init` must be the text of an initializer of jaxinit, got {text!r}") from error
    if not isinstance(init, Initializer):
        raise ValueError(f"`init` must be the text of an initializer of jaxinit, got {text!r}")
    return init


def _named(kind: Any) -> Iterator[tuple[str, type[Initializer]]]:
    for each in kind.__subclasses__():
        yield f"{each._namespace}.{each.__name__}", each
        yield from _named(each)


def _value(node: ast.expr, names: dict[str, Any]) -> Any:
    match node:
        case ast.Constant(value):
            return value
        case ast.Name() | ast.Attribute():
            return names[ast.unparse(node)]
        case ast.Tuple(elts):
            return tuple(_value(each, names) for each in elts)
        case ast.UnaryOp(ast.USub(), operand):
            return -_value(operand, names)
        case ast.BinOp(left, ast.Mult(), right):
            return _value(left, names) * _value(right, names)
        case ast.BinOp(left, ast.Div(), right):
            return _value(left, names) / _value(right, names)
        case ast.Call(func, args, keywords):
            given = {str(keyword.arg): _value(keyword.value, names) for keyword in keywords}
            return _value(func, names)(*[_value(each, names) for each in args], **given)
    raise KeyError(ast.unparse(node))

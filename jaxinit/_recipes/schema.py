"""A recipe as JSON, in a form with a version, and back.

A file is data: nothing in it is run, and all of it is checked.
"""

import base64
import binascii
import dataclasses
import json
import math
import zlib
from collections.abc import Callable, Mapping
from typing import Any, get_args

import jax.numpy as jnp

from jaxinit import _arguments
from jaxinit._initializers.base import Initializer
from jaxinit._initializers.elementwise import normal, trunc_normal, uniform
from jaxinit._initializers.orthogonal import orthogonal
from jaxinit._initializers.sparse import sparse
from jaxinit._recipes.nodes import Data, Node, Ref
from jaxinit._recipes.operations.compute import OPERATIONS, SOURCES
from jaxinit._recipes.parameter import Entry, Kind
from jaxinit._recipes.regions import Region, Strided
from jaxinit.layouts import TORCH

FORMAT = "jaxinit recipe"
VERSION = 1

_INITIALIZERS: dict[str, Callable[..., Initializer]] = {
    "uniform": uniform,
    "normal": normal,
    "trunc_normal": trunc_normal,
    "orthogonal": lambda **fields: orthogonal(layout=TORCH, **fields),
    "sparse": lambda **fields: sparse(layout=TORCH, **fields),
}
_DRAWING = ("one by one",)
_INFINITIES = {"inf": math.inf, "-inf": -math.inf}


def dump(nodes: tuple[Node, ...], entries: tuple[Entry, ...]) -> str:
    """Return the JSON of a recipe. A constant that several nodes have is written once."""
    constants = dict.fromkeys(node.args[0] for node in nodes if node.op == "data")
    places = {data: place for place, data in enumerate(constants)}
    content = {
        "format": FORMAT,
        "version": VERSION,
        "constants": [_dump_data(data) for data in places],
        "nodes": [_dump_node(node, places) for node in nodes],
        "parameters": [dataclasses.asdict(entry) for entry in entries],
    }
    return json.dumps(content, allow_nan=False)


def _dump_data(data: Data) -> dict[str, Any]:
    packed = base64.b64encode(zlib.compress(data.content, 9)).decode()
    return {"shape": data.shape, "dtype": data.dtype, "zlib": packed}


def _dump_node(node: Node, places: Mapping[Data, int]) -> dict[str, Any]:
    args = [_dump_arg(each, places) for each in node.args]
    target = {"target": node.target} if node.target else {}
    return {"op": node.op, "args": args, "shape": node.shape, "dtype": node.dtype, **target}


def _dump_arg(value: Any, places: Mapping[Data, int]) -> Any:
    match value:
        case Ref():
            return {"node": value.index}
        case Region():
            return {"region": dataclasses.asdict(value)}
        case Strided():
            return {"strided": dataclasses.asdict(value)}
        case Data():
            return {"constant": places[value]}
        case Initializer():
            fields = {f.name: _dump_arg(getattr(value, f.name), places) for f in _numbers(value)}
            return {"draw": type(value).__name__, **fields}
        case tuple():
            return {"list": [_dump_arg(each, places) for each in value]}
        case float() if math.isinf(value):
            return {"number": str(value)}
        case None | bool() | int() | float() | str():
            return value
    raise TypeError(f"no JSON for {value!r}")


def _numbers(init: Initializer) -> list[Any]:
    return [field for field in dataclasses.fields(init) if field.name not in ("dtype", "layout")]


def load(text: str) -> tuple[tuple[Node, ...], tuple[Entry, ...]]:
    """Return the nodes and the entries of a recipe.

    Raises:
        TypeError: `text` is not a text.
        ValueError: `text` is not the JSON of a recipe, or of a version that this jaxinit does not know.
    """
    if not isinstance(text, str):
        raise TypeError(f"`text` must be a text, got {type(text)}")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        start = text[:20] + "..." * (len(text) > 20)
        raise ValueError(f"`text` must be JSON, the content of the file, got {start!r}: {error}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"`text` must be a recipe, whose `format` is {FORMAT!r}")
    if content.get("version") != VERSION:
        raise ValueError(
            f"`text` must be a recipe of version {VERSION}, got {content.get('version')!r}. "
            "Record the model again, or install the version of jaxinit that wrote the file"
        )
    where = "the file"
    try:
        where = "constants"
        constants = [_load_data(each) for each in content["constants"]]
        nodes: list[Node] = []
        for index, each in enumerate(content["nodes"]):
            where = f"node {index}"
            nodes.append(_load_node(each, nodes, constants))
        entries = []
        for index, each in enumerate(content["parameters"]):
            where = f"parameter {index}"
            entries.append(_load_entry(each, len(nodes)))
        where = "parameters"
        _require_distinct([name for entry in entries for name in (entry.name, *entry.aliases)])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ValueError(f"`text` must be a recipe, got a wrong value in {where}: {reason}") from None
    return tuple(nodes), tuple(entries)


def _load_data(content: Any) -> Data:
    shape, dtype = _arguments.dimensions(content["shape"]), _dtype(content["dtype"])
    size = math.prod(shape) * jnp.dtype(dtype).itemsize
    unpack = zlib.decompressobj()
    try:
        # No more than the declared size is unpacked, whatever the file holds.
        unpacked = unpack.decompress(base64.b64decode(content["zlib"], validate=True), size + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"not packed by zlib: {error}") from None
    if len(unpacked) != size:
        raise ValueError(
            f"{size} bytes are declared, and the content has {'more' if len(unpacked) > size else 'fewer'}"
        )
    return Data(unpacked, shape, dtype)


def _dtype(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"`dtype` must be the name of a dtype, got {name!r}")
    return _arguments.parse_dtype(name).name


def _load_node(content: Any, before: list[Node], constants: list[Data]) -> Node:
    op = _arguments.choice("op", content["op"], (*OPERATIONS, *SOURCES))
    args = tuple(_load_arg(each, len(before), constants) for each in _list("args", content["args"]))
    if op == "draw" and not (args and isinstance(args[0], Initializer) and args[1:] in ((), _DRAWING)):
        raise ValueError(f"`args` of a draw must be one initializer, got {args}")
    if op == "data" and not (len(args) == 1 and isinstance(args[0], Data)):
        raise ValueError(f"`args` of data must be one constant, got {args}")
    shape, dtype = _arguments.dimensions(content["shape"]), _dtype(content["dtype"])
    return Node(op, args, shape, dtype, _text("target", content.get("target", "")))


def _load_arg(content: Any, count: int, constants: list[Data]) -> Any:
    match content:
        case {"node": index}:
            return Ref(_below("node", index, count))
        case {"region": region}:
            return Region(**{name: _arguments.dimensions(sizes) for name, sizes in region.items()})
        case {"strided": {"size": size, "strides": strides, "offset": offset}}:
            sizes, steps = _arguments.dimensions(size), _arguments.dimensions(strides)
            return Strided(sizes, steps, _arguments.integer("offset", offset))
        case {"constant": index}:
            return constants[_below("constant", index, len(constants))]
        case {"draw": name, **numbers}:
            fields = {str(key): _load_arg(value, count, constants) for key, value in numbers.items()}
            init = _INITIALIZERS[_arguments.choice("draw", name, tuple(_INITIALIZERS))]
            return init(**fields)
        case {"list": parts}:
            return tuple(_load_arg(each, count, constants) for each in _list("list", parts))
        case {"number": name}:
            return _INFINITIES[_arguments.choice("number", name, tuple(_INFINITIES))]
        case None | bool() | int() | float() | str():
            return content
    raise ValueError(f"no argument is written as {content!r}")


def _load_entry(content: Any, count: int) -> Entry:
    return Entry(
        _text("name", content["name"]),
        _below("node", content["node"], count),
        _arguments.choice("kind", content["kind"], get_args(Kind)),  # type: ignore[arg-type]
        _text("module", content["module"]),
        _text("layer", content["layer"]),
        tuple(_text("aliases", each) for each in _list("aliases", content["aliases"])),
    )


def _require_distinct(names: list[str]) -> None:
    if len(set(names)) < len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise ValueError(f"the name {twice!r} is there twice")


def _below(name: str, value: Any, count: int) -> int:
    index = _arguments.integer(name, value)
    if not 0 <= index < count:
        raise ValueError(f"`{name}` must be at least 0 and below {count}, got {index}")
    return index


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"`{name}` must be a text, got {value!r}")
    return value


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"`{name}` must be a list, got {value!r}")
    return value

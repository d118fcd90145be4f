"""Note what a constructor draws from torch's generator, and find out if it sets that generator."""

import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import _disable_current_modes

from jaxinit._initializers.base import Initializer
from jaxinit._initializers.elementwise import normal, trunc_normal, uniform
from jaxinit._initializers.orthogonal import orthogonal
from jaxinit._initializers.sparse import sparse
from jaxinit._recipes.nodes import Node, Ref
from jaxinit._recipes.recording.values import NotRecorded, Values, dtype_of, memory_order, place, size_of, sizes_in
from jaxinit._recipes.regions import Region, strides_of
from jaxinit.layouts import TORCH


class Draws:
    """Add a node for each draw.

    Each draw gives torch's generator another seed. If the generator has a different one at the
    next draw, `build` has set it, and torch's numbers would not follow from one seed.
    """

    def __init__(self, values: Values) -> None:
        self._values = values
        self._state = self._moved()

    def require_one_stream(self, where: Callable[[], str]) -> None:
        """Raise NotRecorded if something other than a noted draw has changed torch's generator since the last one."""
        if _state() != self._state:
            raise NotRecorded(
                "`build` must not set torch's seed or restore torch's generator, "
                f"but the generator was changed before {where()}"
            )

    def _moved(self) -> bytes:
        torch.default_generator.manual_seed(secrets.randbits(63))
        return _state()

    def whole(self, name: str, tensor: torch.Tensor, numbers: Sequence[Any], generator: Any) -> None:
        """Note a function of `torch.nn.init` that draws."""
        init: Initializer
        match name, numbers:
            case "trunc_normal_", (mean, std, a, b):
                init = trunc_normal(mean, std, a, b)
            case "orthogonal_", (gain,):
                init = orthogonal(gain, layout=TORCH)
            case _, (sparsity, std):
                init = sparse(sparsity, std, layout=TORCH)
        if _is_own([generator]):
            self._unknown(f"torch.nn.init.{name}", tensor, has_own=True)
        else:
            self._draw(tensor, init)

    def in_place(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        """Note a method that fills a tensor."""
        tensor: torch.Tensor = args[0]
        has_own = _is_own(kwargs.values())
        numbers = [*args[1:], *(value for option, value in kwargs.items() if option != "generator")]
        if name == "uniform_" and not has_own:
            self._draw(tensor, uniform(*numbers))
        elif name == "normal_" and not has_own:
            self._draw(tensor, normal(*numbers))
        else:
            self._unknown(f"Tensor.{name}", tensor, has_own)
        return tensor

    def new(self, func: Any, name: str, args: Any, kwargs: dict[str, Any], made: torch.Tensor) -> None:
        """Note a function that returns a tensor."""
        has_own = _is_own([*args, *kwargs.values()])
        if name in ("rand", "rand_like") and not has_own:
            self._draw(made, uniform())
        elif name in ("randn", "randn_like") and not has_own:
            self._draw(made, normal())
        elif str(func) == "aten.normal.float_float" and not has_own:
            self._draw(made, normal(*args[:2]))
        elif name == "normal" and not has_own:
            self._draw_each(made, *args[:2])
        else:
            self._unknown(f"torch.{name}", made, has_own)

    def _draw_each(self, made: torch.Tensor, mean: Any = 0.0, std: Any = 1.0) -> None:
        """Note a normal whose mean or std is a tensor: torch draws with a mean of 0, then scales and shifts."""
        has_number = not isinstance(std, torch.Tensor)
        self._draw(made, normal(0.0, std) if has_number else normal())
        for op, operand in (("add", mean),) if has_number else (("mul", std), ("add", mean)):
            other = Ref(self._values.value(operand)) if isinstance(operand, torch.Tensor) else operand
            args = (Ref(self._values.value(made)), other, *([1] if op == "add" else []))
            self._values.write(made, self._values.add(Node(op, args, size_of(made), dtype_of(made))))

    def _unknown(self, call: str, tensor: torch.Tensor, has_own: bool) -> None:
        """Note a draw that no recipe follows. One from a generator of its own leaves torch's alone."""
        if has_own:
            node = self._values.unknown(f"{call} with its own generator", tensor)
        else:
            self._move()
            node = self._values.unknown(call, tensor, "unknown draw")
        self._values.write(tensor, node)

    def _move(self) -> None:
        self.require_one_stream(lambda: f"the draw at {place()}")
        self._state = self._moved()

    def _draw(self, tensor: torch.Tensor, init: Initializer) -> None:
        """Draw all entries of a tensor, in the order in which its memory holds them, as torch does."""
        self._move()
        order = memory_order(tensor)
        is_whole = tensor.is_contiguous() or isinstance(init, orthogonal)
        shape = size_of(tensor) if is_whole else sizes_in(tensor, order)
        args = (init,) if is_whole else (init, "one by one")
        drawn = node = self._values.add(Node("draw", args, shape, dtype_of(tensor)))
        if not is_whole:
            strides = dict(zip(order, strides_of(shape), strict=True))
            region = Region.of_view(shape, size_of(tensor), tuple(strides[axis] for axis in range(tensor.ndim)), 0)
            node = node if region is None else self._values.read(drawn, region)
        self._values.write(tensor, node)
        memory = self._values.memory_of(tensor)
        if memory is not None:
            memory.draws.append(drawn)


def _state() -> bytes:
    with _disable_current_modes():
        return torch.get_rng_state().numpy().tobytes()


def _is_own(options: Iterable[Any]) -> bool:
    """Return whether one of the options of a call is a generator other than torch's default one.

    An operation gets a new Python object for its generator. So they are told apart by seeds, which no two share.
    """
    seeds = (each.initial_seed() for each in options if isinstance(each, torch.Generator))
    return any(seed != torch.default_generator.initial_seed() for seed in seeds)

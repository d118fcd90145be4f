"""Claims about names, arguments, gains, fans, refusals and warnings."""

import dataclasses
import inspect
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax

from ..axes import layout_arguments, torch_shape
from ..reference import torch_init
from ..targets import Target
from .cases import LAYOUTS
from .check import PlannedCheck, Result, close, equal, exact

GAINS = (
    *((name, None) for name in ("linear", "conv1d", "conv2d", "conv3d", "sigmoid", "tanh", "relu", "selu")),
    *((f"conv_transpose{rank}d", None) for rank in (1, 2, 3)),
    *(("leaky_relu", slope) for slope in (None, 0, 0.2, 5**0.5, -1.5)),
)


@dataclasses.dataclass(frozen=True)
class Call:
    """An initializer, its arguments, and the shape of torch's tensor; Flax's kernel has in and out last."""

    initializer: str
    arguments: tuple[tuple[str, Any], ...] = ()
    torch_shape: tuple[int, ...] = (6, 4)

    @property
    def label(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.arguments)
        return f"{given or 'defaults'}; torch {'x'.join(map(str, self.torch_shape)) or 'scalar'}"

    @property
    def flax_shape(self) -> tuple[int, ...]:
        if len(self.torch_shape) < 2:
            return self.torch_shape
        return (*self.torch_shape[2:], self.torch_shape[1], self.torch_shape[0])


REFUSED = (
    Call("uniform", (("a", 2.0), ("b", 1.0))),
    Call("uniform", (("a", math.nan),)),
    Call("uniform", (("b", math.inf),)),
    Call("normal", (("std", -1.0),)),
    Call("trunc_normal", (("a", 2.0), ("b", 1.0))),
    Call("trunc_normal", (("std", 0.0),)),
    *(Call(name, (), (5,)) for name in ("xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal")),
    Call("xavier_uniform", (("gain", -1.0),)),
    Call("xavier_normal", (("gain", -1.0),)),
    *(Call(name, (("mode", "fan"),)) for name in ("kaiming_uniform", "kaiming_normal")),
    *(Call(name, (("nonlinearity", "gelu"),)) for name in ("kaiming_uniform", "kaiming_normal")),
    *(Call(name, (("a", True),)) for name in ("kaiming_uniform", "kaiming_normal")),
    Call("eye", (), (5,)),
    Call("eye", (), (5, 4, 3)),
    Call("dirac", (), (5, 4)),
    Call("dirac", (), (2, 2, 2, 2, 2, 2)),
    Call("dirac", (("groups", 2),), (5, 4, 3)),
    Call("orthogonal", (), (5,)),
    Call("sparse", (("sparsity", 0.1),), (5,)),
    Call("sparse", (("sparsity", 0.1),), (5, 4, 3)),
    Call("sparse", (("sparsity", math.nan),)),
    Call("sparse", (("sparsity", 0.1), ("std", -1.0))),
)
WARNED = (Call("kaiming_uniform", (), (0, 4)), Call("kaiming_normal", (), (4, 0)))


def outcome(call: Call, build: Any) -> str:
    """What happens on the call: an exception's class, a warning's after `warns`, or `returns`."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            build(call)
        except Exception as error:  # whatever a target raises is what is asked here
            return type(error).__name__
    return f"warns {seen[0].category.__name__}" if seen else "returns"


def torch_outcome(call: Call) -> str:
    """What torch does."""
    return outcome(
        call, lambda call: torch_init.fill(call.initializer, dict(call.arguments), call.torch_shape, "float32")
    )


def target_outcome(target: Target, call: Call) -> str:
    """What the target does."""
    key = jax.random.key(0)
    return outcome(
        call, lambda call: target.build(call.initializer, dict(call.arguments))(key, call.flax_shape, "float32")
    )


def checks(target: Target) -> Iterator[PlannedCheck]:
    """Every claim about the target as an interface."""
    names = torch_init.initializers()
    yield from (_check(name, "present", "name", _present, target, name) for name in names)
    yield from (_check(name, "signature", "arguments", _signature, target, name) for name in names if target.has(name))
    for claim, calls, evaluate in (("refusal", REFUSED, _refusal), ("warning", WARNED, _warning)):
        for call in calls:
            if target.has(call.initializer):
                yield _check(call.initializer, claim, call.label, evaluate, target, call)
    if target.has("calculate_gain"):
        for name, param in GAINS:
            yield _check("calculate_gain", "gain", f"{name}, {param}", _gain, target, name, param)
    if target.knows_layouts:
        for shape, axes in LAYOUTS:
            yield _check("calculate_fan_in_and_fan_out", "fans", f"{axes} {shape}", _fans, target, shape, axes)


def _check(initializer: str, claim: str, case: str, evaluate: Callable[..., Result], *operands: Any) -> PlannedCheck:
    return exact(initializer, claim, case, lambda: evaluate(*operands))


def _present(target: Target, name: str) -> Result:
    return equal("present" if target.has(name) else "absent", "present")


def _signature(target: Target, name: str) -> Result:
    """torch's arguments lead, by name, order and default; what follows is keyword-only."""
    wanted = {
        key: "required" if value is inspect.Parameter.empty else value
        for key, value in torch_init.parameters(name).items()
    }
    given = inspect.signature(getattr(target.namespace, name)).parameters.values()
    seen = {
        parameter.name: "required" if parameter.default is inspect.Parameter.empty else parameter.default
        for parameter in given
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY
    }
    return equal(list(seen.items()), list(wanted.items()))


def _refusal(target: Target, call: Call) -> Result:
    """What torch refuses is refused, with ValueError where torch raises it."""
    theirs, ours = torch_outcome(call), target_outcome(target, call)
    wanted = "ValueError" if theirs == "ValueError" else "an exception"
    refused = not any(each == "returns" or each.startswith("warns ") for each in (ours, theirs))
    return Result(refused and (ours == "ValueError" or wanted == "an exception"), ours, wanted)


def _warning(target: Target, call: Call) -> Result:
    return equal(target_outcome(target, call), torch_outcome(call))


def _gain(target: Target, nonlinearity: str, param: float | None) -> Result:
    theirs = torch_init.function("calculate_gain")(nonlinearity, param)
    return close(abs(target.namespace.calculate_gain(nonlinearity, param) / theirs - 1), 1e-15)


def _fans(target: Target, shape: tuple[int, ...], axes: str) -> Result:
    ours = target.namespace.calculate_fan_in_and_fan_out(shape, target.namespace.Layout(**layout_arguments(axes)))
    return equal(tuple(ours), torch_init.fans(torch_shape(shape, axes)))

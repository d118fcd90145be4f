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
    """Represent a call of an initializer: its arguments, and the shape of the torch tensor."""

    initializer: str
    arguments: tuple[tuple[str, Any], ...] = ()
    torch_shape: tuple[int, ...] = (6, 4)

    @property
    def label(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.arguments)
        return f"{given or 'defaults'}; torch {'x'.join(map(str, self.torch_shape)) or 'scalar'}"

    @property
    def flax_shape(self) -> tuple[int, ...]:
        """Return the shape of a Flax kernel, whose last axes are in and out."""
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


def outcome(call: Call, build: Callable[[Call], Any]) -> str:
    """Return what happens: the class of an exception, the class of a warning after `warns`, or `returns`."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            build(call)
        except Exception as error:  # any exception is an outcome
            return type(error).__name__
    return f"warns {seen[0].category.__name__}" if seen else "returns"


def torch_outcome(call: Call) -> str:
    """Return what happens in torch."""
    return outcome(
        call, lambda call: torch_init.fill(call.initializer, dict(call.arguments), call.torch_shape, "float32")
    )


def target_outcome(target: Target, call: Call) -> str:
    """Return what happens in the target."""
    key = jax.random.key(0)
    return outcome(
        call, lambda call: target.build(call.initializer, dict(call.arguments))(key, call.flax_shape, "float32")
    )


def checks(target: Target) -> Iterator[PlannedCheck]:
    """Yield the checks of names, arguments, refusals, warnings, gains and fans."""
    names = torch_init.initializers()
    yield from (_check(name, "present", "name", _present, target, name) for name in names)
    yield from (_check(name, "signature", "arguments", _signature, target, name) for name in names if target.has(name))
    for claim, calls, judge in (("refusal", REFUSED, _refusal), ("warning", WARNED, _warning)):
        for call in calls:
            if target.has(call.initializer):
                yield _check(call.initializer, claim, call.label, judge, target, call)
    if target.has("calculate_gain"):
        for name, param in GAINS:
            yield _check("calculate_gain", "gain", f"{name}, {param}", _gain, target, name, param)
    if target.knows_layouts:
        for shape, axes in LAYOUTS:
            yield _check("calculate_fan_in_and_fan_out", "fans", f"{axes} {shape}", _fans, target, shape, axes)


def _check(initializer: str, claim: str, case: str, judge: Callable[..., Result], *operands: Any) -> PlannedCheck:
    return exact(initializer, claim, case, lambda: judge(*operands))


def _present(target: Target, name: str) -> Result:
    return equal("present" if target.has(name) else "absent", "present")


def _signature(target: Target, name: str) -> Result:
    """Compare names, order and defaults with torch's. Further arguments must be keyword-only."""
    expected = {key: _default(value) for key, value in torch_init.parameters(name).items()}
    given = inspect.signature(getattr(target.namespace, name)).parameters.values()
    observed = {each.name: _default(each.default) for each in given if each.kind is not inspect.Parameter.KEYWORD_ONLY}
    return equal(list(observed.items()), list(expected.items()))


def _default(value: Any) -> Any:
    return "required" if value is inspect.Parameter.empty else value


def _refusal(target: Target, call: Call) -> Result:
    """Check that the target raises where torch raises: ValueError if torch does, else any exception."""
    expected, observed = torch_outcome(call), target_outcome(target, call)
    wanted = "ValueError" if expected == "ValueError" else "an exception"
    refused = not any(each == "returns" or each.startswith("warns ") for each in (observed, expected))
    return Result(refused and (observed == "ValueError" or wanted == "an exception"), observed, wanted)


def _warning(target: Target, call: Call) -> Result:
    return equal(target_outcome(target, call), torch_outcome(call))


def _gain(target: Target, nonlinearity: str, param: float | None) -> Result:
    expected = torch_init.function("calculate_gain")(nonlinearity, param)
    return close(abs(target.namespace.calculate_gain(nonlinearity, param) / expected - 1), 1e-15)


def _fans(target: Target, shape: tuple[int, ...], axes: str) -> Result:
    layout = target.namespace.Layout(**layout_arguments(axes))
    fans = target.namespace.calculate_fan_in_and_fan_out(shape, layout)
    return equal(tuple(fans), torch_init.fans(torch_shape(shape, axes)))

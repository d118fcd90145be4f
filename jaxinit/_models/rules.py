"""The rules by class: those of the table of modules, and those that users register.

Before the rule of a layer come the initializers that the model itself gave the layer.
"""

import dataclasses
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jaxinit._initializers.base import Initializer
from jaxinit._initializers.elementwise import constant
from jaxinit._models.correspondence import with_layout
from jaxinit._models.matching import Given, LayerMatch, Leaves, Match, Path, Rule, dotted
from jaxinit.composed import with_zero_row


class Rules:
    """Represent the rules for the modules of `jaxinit.nnx`, `jaxinit.linen` or `jaxinit.equinox`.

    Args:
        namespace: the name of the public module.
        base: the class of all modules.
        base_name: the public name of that class.
        table: the rules of the framework's own layers.
        advice: what a user can do about a parameter without a rule, after "Register a rule with ...".
    """

    def __init__(
        self, namespace: str, base: type, base_name: str, table: Mapping[type, Rule], advice: str = ""
    ) -> None:
        self._namespace, self._base, self._base_name, self._advice = namespace, base, base_name, advice
        self._rules = dict(table)

    def register(self, kind: Any, rule: Any, arguments: str, adapt: Callable[[Any], Rule]) -> None:
        """Add the rule of a user for a class. `arguments` says in words what the rule is called with."""
        if not (isinstance(kind, type) and issubclass(kind, self._base)):
            raise TypeError(f"`kind` must be a class of {self._base_name}, got {kind!r}")
        if not callable(rule):
            raise TypeError(f"`rule` must be a function of {arguments}, got {rule!r}")
        self._rules[kind] = adapt(rule)

    def of(self, module: Any) -> Iterator[Rule]:
        """Yield the rules for the classes of a module, the nearest class first."""
        return (self._rules[kind] for kind in type(module).__mro__ if kind in self._rules)

    def warn(self, paths: Iterable[Path]) -> None:
        """Warn of parameters without a rule. The user called the function that called the caller of this one."""
        if listed := ", ".join(sorted({dotted(path) for path in paths})):
            warnings.warn(
                f"no initialization rule for {listed}. Such a parameter keeps its values. "
                f"Register a rule with {self._namespace}.register{self._advice}",
                stacklevel=4,
            )


def given_to_layers(matches: Iterable[Match], given: Mapping[Path, Given | None]) -> dict[Path, Any]:
    """Return the initializers that the model gave its layers, by the paths of parameters. None stands for no draw.

    `given` has them by module, or None for a module whose values stay. A part of a layer, such as a projection of an
    attention, has its initializers from the layer. So only those count that the layer itself was given. torch's
    default counts as not given.
    """
    found: dict[Path, Any] = {}
    for match in matches:
        if not isinstance(match, LayerMatch):
            # The rule of a module around the layer comes later, as in torch.
            found = {path: init for path, init in found.items() if path not in match.paths}
            continue
        own = given.get(match.node.path, {})
        for path, default in match.draws:
            init = (given.get(path[:-1]) or {}).get(f"{path[-1]}_init")
            if own is None:
                found[path] = None
            elif any(init is each for each in own.values()) and init != default:
                found[path] = constant(init) if isinstance(init, int | float) else init
    return found


def with_given(match: Match, found: Mapping[Path, Any], leaves: Leaves) -> Match | None:
    """Return the match with those given initializers that are jaxinit's, or None if all values of the module stay.

    torch's constructor draws the padding of an embedding with its other rows, and so not a second time.
    """
    given = {name: found[match.node.at(name)] for name in match.inits if match.node.at(name) in found}
    if not isinstance(match, LayerMatch) or not given:
        return match
    if all(init is None for init in given.values()):
        return None
    ours = {name: init for name, init in given.items() if isinstance(init, Initializer)}
    for name, init in ours.items():
        if isinstance(init, with_zero_row) and init.init == match.inits[name]:
            padded = tuple(dataclasses.replace(tensor, init=init) for tensor in match.layer.draws)
            match = dataclasses.replace(match, layer=dataclasses.replace(match.layer, draws=padded))
    layouts, shapes = dict(match.layouts), match.shapes(leaves)
    for name, init in ours.items():
        layout = layouts.get(match.node.at(name))
        # Flax flattens such a kernel to two axes before it calls the initializer.
        if layout is not None and len(layout.torch_shape(shapes[name])) < len(shapes[name]):
            ours[name] = with_layout(init, layout)
    return dataclasses.replace(match, inits={**match.inits, **ours})

"""The rules by class: those of the table of modules, and those that users register."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jaxinit._models.matching import Path, Rule, dotted


class Rules:
    """The rules for the modules of `jaxinit.nnx` or of `jaxinit.linen`.

    Args:
        namespace: `jaxinit.nnx` or `jaxinit.linen`.
        base: the class of all modules.
        base_name: the public name of that class.
        table: the rules of the table of modules.
    """

    def __init__(self, namespace: str, base: type, base_name: str, table: Mapping[type, Rule]) -> None:
        self._namespace, self._base, self._base_name = namespace, base, base_name
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
                f"no initialization rule for {listed}. Such a parameter keeps the values that Flax gave it. "
                f"Register a rule with {self._namespace}.register, or define a method `reset_parameters` in its module",
                stacklevel=4,
            )

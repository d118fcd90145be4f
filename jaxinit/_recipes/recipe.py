"""The class `Recipe`: how a torch model initializes itself, as a value."""

import dataclasses
import functools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import jax
from jax.typing import DTypeLike

from jaxinit import _arguments
from jaxinit._recipes import by_generator, by_key, distribution, schema
from jaxinit._recipes.nodes import Node, is_draw, needed
from jaxinit._recipes.parameter import Entry, Form, RecordedParameter, Step
from jaxinit._sampling.source import Stream, as_key
from jaxinit._torch_generator.generator import TorchGenerator
from jaxinit.distributions import Constant, Distribution, Normal, TruncatedNormal, Uniform

Layouts = Literal["torch", "flax"]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Represent the initialization of one torch model: what `jaxinit.record` returns.

    A recipe is a value. It prints as a table, compares, hashes and pickles, and runs without torch.

    Args:
        nodes: what the constructor drew and computed, in torch's order.
        entries: the parameters and buffers, and the nodes that hold their values.

    Example:
        >>> recipe = jaxinit.record(lambda: torch.nn.Linear(64, 10))
        >>> recipe.parameters[0].module, round(recipe.parameters[0].distribution.std, 4)
        ('Linear', 0.0722)
        >>> {name: array.shape for name, array in recipe.sample(jax.random.key(0)).items()}
        {'weight': (10, 64), 'bias': (10,)}
        >>> jaxinit.Recipe.from_json(recipe.to_json()) == recipe
        True
    """

    nodes: tuple[Node, ...] = dataclasses.field(repr=False)
    entries: tuple[Entry, ...] = dataclasses.field(repr=False)

    @functools.cached_property
    def parameters(self) -> tuple[RecordedParameter, ...]:
        """Return the parameters and buffers in torch's order.

        A tied one is there once, with its other names as `aliases`.
        """
        return tuple(self._recorded(entry) for entry in self.entries)

    @functools.cached_property
    def _distributions(self) -> list[Distribution | None]:
        return distribution.distributions(self.nodes)

    @functools.cached_property
    def _draws_to(self) -> Mapping[str, set[int]]:
        found: dict[str, set[int]] = {}
        for index, node in enumerate(self.nodes):
            if is_draw(node) and node.target:
                found.setdefault(node.target, set()).add(index)
        return found

    def _recorded(self, entry: Entry) -> RecordedParameter:
        node = self.nodes[entry.node]
        used = needed(self.nodes, entry.node)
        every = sorted({*used, *self._draws_to.get(entry.name, ())})
        steps = tuple(Step(self._call(index), index not in used) for index in every if self._is_shown(index, every))
        shown = (entry.name, entry.kind, node.shape, node.dtype, entry.module, entry.layer, entry.aliases)
        return RecordedParameter(*shown, steps, self._distributions[entry.node])

    def _call(self, index: int) -> str:
        node = self.nodes[index]
        return f"{node.args[1]} = {self.nodes[node.args[2].index].call()}" if node.op == "write" else node.call()

    def _is_shown(self, index: int, every: Sequence[int]) -> bool:
        """Return whether a node is a step of its own: not a reshape, and not what a later step writes to a slice."""
        node = self.nodes[index]
        is_written = any(self.nodes[i].op == "write" and self.nodes[i].args[2].index == index for i in every)
        return not (is_written or node.op == "empty" or (node.op == "read" and node.args[1].is_identity))

    def sample(
        self,
        key: jax.Array | Stream | TorchGenerator,
        dtype: DTypeLike | None = None,
        layouts: Layouts = "torch",
        out_shardings: Any = None,
    ) -> dict[str, jax.Array]:
        """Return what torch's `state_dict` holds after the constructor, as JAX arrays by torch's names.

        A key draws all arrays in one compiled program, which has one part for each group of
        parameters of the same shape and initialization. The key of a parameter is `key` with its
        name folded in. A TorchGenerator draws on the host what torch draws, in torch's order.

        Args:
            key: one PRNG key, `nnx.Rngs`, or a TorchGenerator, which is left where torch's generator is left.
            dtype: the dtype of all floating arrays, by default their own.
            layouts: `"torch"` for torch's axes. `"flax"` for those of Flax: the weights of linear layers and
                of convolutions are transposed, and those of transposed convolutions flipped.
            out_shardings: a sharding for all arrays, or a dict of shardings by name. Arrays without one are laid out
                as JAX likes.

        Raises:
            TypeError: `key` is neither a key nor a TorchGenerator, or one is used under `jit` that draws on the host.
            ValueError: another argument is none of the values above.

        Example:
            >>> recipe = jaxinit.record(lambda: torch.nn.Linear(3, 2))
            >>> ours = recipe.sample(jaxinit.TorchGenerator(0))
            >>> _ = torch.manual_seed(0)
            >>> bool((ours["weight"] == torch.nn.Linear(3, 2).weight.detach().numpy()).all())
            True
        """
        _arguments.choice("layouts", layouts, ("torch", "flax"))
        stored = [entry for entry in self.entries if entry.kind != "computed buffer"]
        names = [name for entry in stored for name in (entry.name, *entry.aliases)]
        stored_dtype = None if dtype is None else _arguments.resolve_dtype(dtype)
        form = Form(stored_dtype, layouts == "flax", _by_name(out_shardings, names))
        if isinstance(key, TorchGenerator):
            arrays = by_generator.sample(self.nodes, stored, form, key)
        else:
            arrays = by_key.sample(self.nodes, stored, self._distributions, form, as_key(key))
        return {name: arrays[entry.name] for entry in stored for name in (entry.name, *entry.aliases)}

    def to_json(self) -> str:
        """Return the recipe as JSON. `from_json` reads it, and the documentation has its schema."""
        return schema.dump(self.nodes, self.entries)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the recipe that `to_json` wrote.

        Raises:
            TypeError: `text` is not a text.
            ValueError: `text` is not the JSON of a recipe, or of a later version.
        """
        return cls(*schema.load(text))

    def __str__(self) -> str:
        rows = [("parameter", "shape", "dtype", "module", "initialization")]
        rows += [(p.name, str(p.shape), p.dtype, p.module, described(p)) for p in self.parameters]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = ["  ".join([*map(str.ljust, row[:4], widths), row[4]]) for row in rows]
        return "\n".join([*lines, self.summary()])

    def summary(self) -> str:
        """Return how many parameters, entries and distributions there are, in one line."""
        kinds = Counter(parameter.kind for parameter in self.parameters)
        count = sum(math.prod(p.shape) for p in self.parameters if p.kind == "parameter")
        distinct = len({described(p) for p in self.parameters if p.kind == "parameter"})
        counted = ", ".join(f"{number} {kind}{'' if number == 1 else 's'}" for kind, number in kinds.items())
        return (
            f"{counted}; {count:,} entries in parameters, initialized in {distinct} way{'' if distinct == 1 else 's'}"
        )


def described(parameter: RecordedParameter) -> str:
    """Return the distribution of a parameter, or what was done to it, in one line."""
    if parameter.distribution is not None:
        return _short(parameter.distribution)
    calls = [str(step) for step in parameter.steps if not step.is_overwritten]
    return "; ".join(calls if len(calls) < 7 else [*calls[:3], "...", *calls[-3:]])


def _short(distribution: Distribution) -> str:
    match distribution:
        case Uniform(low, high):
            return f"U({low:.6g}, {high:.6g})"
        case Normal(mean, std):
            return f"N({mean:.6g}, {std:.6g}²)"
        case TruncatedNormal(loc, scale, low, high):
            return f"N({loc:.6g}, {scale:.6g}²) in [{low:.6g}, {high:.6g}]"
        case Constant(value):
            return f"{value:.6g}"
    return str(distribution)


def _by_name(out_shardings: Any, names: Sequence[str]) -> dict[str, Any]:
    if not isinstance(out_shardings, Mapping):
        return dict.fromkeys(names, out_shardings)
    if unknown := sorted(set(out_shardings) - set(names)):
        raise ValueError(f"`out_shardings` must name parameters of the recipe, got {unknown[0]!r}")
    return {name: out_shardings.get(name) for name in names}

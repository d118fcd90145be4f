"""The modules of a Linen model and the shapes of their arrays, as one abstract run of `init` calls them."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxinit._models import linen_stacks
from jaxinit._models.matching import Node, Path

COLLECTIONS = ("batch_stats", "params")
"""What torch keeps too: running statistics and parameters; of one name in both, the parameter is meant."""

Shape = tuple[int, ...]
_At = tuple[Path, type[nn.Module]]


@dataclasses.dataclass(frozen=True)
class Calls:
    """The modules that were called, unbound, and the shapes that each saw of the arrays in it and below it.

    Under `nn.scan` and `nn.vmap` a module sees one layer of the stack.
    """

    modules: dict[_At, nn.Module] = dataclasses.field(default_factory=dict)
    shapes: dict[_At, dict[Path, Shape]] = dataclasses.field(default_factory=dict)

    def note(self, call: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
        """Flax's interceptor of methods: inner modules are done first, but for those set up alone."""
        result, module = call(*args, **kwargs), context.module
        if module.scope is not None and module.is_initializing():
            at = module.path, type(module)
            if at not in self.modules:
                self.modules[at] = module.copy(parent=None, name=module.name)
            seen = self.shapes.setdefault(at, {})
            for (collection, *path), box in flat(module.variables).items():
                if collection in COLLECTIONS:
                    seen.setdefault((collection, *module.path, *path), array_in(box).shape)
        return result

    def within(self, variables: Mapping[Path, Any]) -> "Calls":
        """The modules whose arrays are those of `variables`, or layers of them.

        Others, run by themselves or under `nn.map_variables`, say nothing about `variables`.
        """

        def is_of(path: Path, shape: Shape) -> bool:
            return path in variables and linen_stacks.stacked_axes(array_in(variables[path]).shape, shape) is not None

        kept = [at for at in self.modules if all(is_of(*item) for item in self.shapes[at].items())]
        return Calls({at: self.modules[at] for at in kept}, {at: self.shapes[at] for at in kept})

    @property
    def nodes(self) -> list[Node]:
        """The modules, inner ones first, and otherwise in the order in which they were called."""
        first: dict[Path, int] = {}
        for index, (path, _) in enumerate(self.modules):
            for end in range(len(path) + 1):
                first.setdefault(path[:end], index)

        def place(item: tuple[_At, Any]) -> tuple[float, ...]:
            path = item[0][0]
            return (*(first[path[:end]] for end in range(1, len(path) + 1)), math.inf)

        return [Node(path, module) for (path, _), module in sorted(self.modules.items(), key=place)]

    @property
    def layers(self) -> dict[Path, tuple[Shape, int]]:
        """The shape of each array in one layer, and the depth of the outermost module that sees no more of it."""
        found: dict[Path, tuple[Shape, int]] = {}
        for (path, _), shapes in sorted(self.shapes.items(), key=_depth, reverse=True):
            for name, shape in shapes.items():
                if found.setdefault(name, (shape, len(path)))[0] == shape:
                    found[name] = shape, len(path)
        return found


def _depth(item: tuple[_At, Any]) -> int:
    return len(item[0][0])


def run(module: nn.Module, inputs: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, Calls]:
    """The module's variables, abstract, and its calls; inputs may be abstract too."""
    leaves, treedef = jax.tree.flatten((inputs, kwargs))
    abstract = {index: leaf for index, leaf in enumerate(leaves) if isinstance(leaf, jax.ShapeDtypeStruct)}
    calls = Calls()

    def build(given: Mapping[int, jax.Array]) -> Any:
        args, options = jax.tree.unflatten(treedef, [given.get(index, leaf) for index, leaf in enumerate(leaves)])
        with nn.intercept_methods(calls.note):
            return module.init(jax.random.key(0), *args, **options)

    variables = jax.eval_shape(build, abstract)
    return variables, calls.within(flat(variables))


def concrete(inputs: Any) -> Any:
    """The inputs with zeros for what is abstract."""
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype) if isinstance(x, jax.ShapeDtypeStruct) else x, inputs)


def flat(variables: Any) -> dict[Path, Any]:
    """Arrays, in their boxes if they have any, by their paths; a path begins with the collection's name."""
    leaves = jax.tree_util.tree_leaves_with_path(variables, is_leaf=is_box)
    return {tuple(jax.tree_util.keystr((part,), simple=True) for part in path): box for path, box in leaves}


def is_box(value: Any) -> bool:
    return isinstance(value, nn.meta.AxisMetadata)


def array_in(box: Any) -> Any:
    """The array, or what stands for it."""
    (array,) = jax.tree.leaves(box)
    return array

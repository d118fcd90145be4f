"""Whole NNX models: torch's defaults, torch's `apply`, and torch's weights.

jaxinit.nnx.reset_parameters(model, nnx.Rngs(0))
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import jax
from flax import nnx

from jaxinit import arguments, models, modules, state_dicts
from jaxinit.models import Node, Path

Model = TypeVar("Model", bound=nnx.Module)
Initializers = Mapping[str, Callable[..., jax.Array]]

_RULES: dict[type, Any] = {getattr(nnx, row.nnx): row.rule for row in modules.TABLE if row.nnx}


def register(kind: type, rule: Callable[[Any], Initializers | None]) -> None:
    """Teaches `reset_parameters` and `init` a layer of yours.

    Args:
        kind: the class; its subclasses are meant too.
        rule: called with a layer; returns initializers by the names of its parameters (those
            of modules in it as `"name.kernel"`), or None to leave it unknown.

    Raises:
        TypeError: `kind` is not a class of modules.

    Example:
        >>> class Scale(nnx.Module):
        ...     def __init__(self, size, *, rngs):
        ...         self.gain = nnx.Param(jnp.zeros(size))
        >>> jaxinit.nnx.register(Scale, lambda layer: {"gain": jaxinit.ones()})
        >>> model = Scale(3, rngs=nnx.Rngs(0))
        >>> jaxinit.nnx.reset_parameters(model, nnx.Rngs(0))
        >>> model.gain[...]
        Array([1., 1., 1.], dtype=float32)
    """
    if not (isinstance(kind, type) and issubclass(kind, nnx.Module)):
        raise TypeError(f"`kind` must be a class of nnx.Module, got {kind!r}")
    _RULES[kind] = lambda _, layer: rule(layer)


def reset_parameters(model: nnx.Module, rngs: nnx.Rngs | jax.Array) -> None:
    """Draws every parameter of the model anew, as torch's modules do; in place.

    Each keeps its dtype, its sharding and its metadata. Its key is that of `rngs` with its
    path folded in, so that another layer changes no other numbers; a shared module is set
    once. A module's own method `reset_parameters(rngs)` is called after the modules in it
    are set, as torch does at the end of a constructor.

    Args:
        model: any NNX module.
        rngs: `nnx.Rngs`, of which the stream `params` is used, or a key.

    Raises:
        TypeError: an argument is not of its kind.

    Warns:
        UserWarning: some layers are unknown, and were left as they are; `register` them.

    Example:
        >>> model = nnx.Linear(64, 256, rngs=nnx.Rngs(0))
        >>> jaxinit.nnx.reset_parameters(model, nnx.Rngs(1))
        >>> round(float(model.bias[...].std()), 2), bool(abs(model.kernel[...]).max() <= 0.125)
        (0.07, True)
    """
    key, view = _key(rngs), _View(model)
    found, free = models.known(view.nodes, view.leaves, _rule_of)
    view.update(models.draw([draw for one in found for draw in one.draws], view.leaves, key))
    _finish(view, key, free)


def apply(
    model: nnx.Module,
    fn: Callable[[Any], Initializers | None],
    rngs: nnx.Rngs | jax.Array,
    *,
    only: str | None = None,
) -> None:
    """torch's `model.apply(init_weights)`: `fn` is asked of each module, innermost first; in place.

    Args:
        model: any NNX module.
        fn: called with a module; returns initializers by the names of its parameters, such
            as `{"kernel": jaxinit.xavier_uniform(), "bias": jaxinit.zeros()}`, or None.
        rngs: as for `reset_parameters`.
        only: a pattern such as `"head"` or `"blocks.*.kernel"`: parameters whose path, or
            that of a module around them, does not match stay as they are.

    Raises:
        TypeError: `fn` returns something else.
        ValueError: `fn` names what the module lacks, or nothing matches `only`; the model is unchanged.

    Example:
        >>> model = nnx.Sequential(nnx.Linear(2, 3, rngs=nnx.Rngs(0)), nnx.relu)
        >>> def init_weights(module):
        ...     if isinstance(module, nnx.Linear):
        ...         return {"kernel": jaxinit.xavier_uniform(), "bias": jaxinit.constant(0.01)}
        >>> jaxinit.nnx.apply(model, init_weights, nnx.Rngs(0))
        >>> model.layers[0].bias[...]
        Array([0.01, 0.01, 0.01], dtype=float32)
    """
    view = _View(model)
    draws = models.chosen(view.nodes, view.leaves, fn, only)
    view.update(models.draw(draws, view.leaves, _key(rngs)))


def initializers(model: nnx.Module) -> dict[str, Callable[..., jax.Array]]:
    """What `reset_parameters` draws each parameter from, without drawing::

        initializers(model)["head.bias"].distribution(shape)

    Args:
        model: any NNX module, concrete or abstract.

    Returns:
        The initializer of each parameter and statistic that a rule knows, by its path joined
        with dots. What a module's own `reset_parameters` then does is not among them.

    Example:
        >>> jaxinit.nnx.initializers(nnx.Linear(64, 256, rngs=nnx.Rngs(0)))["bias"]
        jaxinit.uniform(a=-0.125, b=0.125)
    """
    view = _View(model)
    found, _ = models.known(view.nodes, view.leaves, _rule_of)
    return {models.dotted(path): init for one in found for path, init in one.draws}


def init(build: Callable[[nnx.Rngs], Model], rngs: nnx.Rngs | jax.Array) -> Model:
    """Builds a model with torch's defaults, and draws nothing twice.

    The model is built abstractly, then filled: as by `reset_parameters`, each array on its
    own devices if its metadata says so and a mesh is set. What no rule knows comes from
    `build` itself.

    Args:
        build: called with `nnx.Rngs`; returns the model.
        rngs: as for `reset_parameters`.

    Returns:
        The model.

    Raises:
        TypeError: `rngs` is not of its kind.

    Warns:
        UserWarning: some layers are unknown; `register` them.

    Example:
        >>> model = jaxinit.nnx.init(lambda rngs: nnx.Linear(64, 256, rngs=rngs), nnx.Rngs(0))
        >>> round(float(model.bias[...].std()), 2)
        0.07
    """
    key = _key(rngs)
    own = models.key_at(key, ("build",))
    order: list[Path] = []

    def traced() -> Model:
        model = build(nnx.Rngs(own))
        order.extend(node.path for node in _nodes(model))  # forgotten by what eval_shape returns
        return model

    view = _View(nnx.eval_shape(traced), order)
    found, free = models.known(view.nodes, view.leaves, _rule_of)
    drawn = models.draw([draw for one in found for draw in one.draws], view.leaves, key)
    model: Model = view.filled(drawn, lambda: build(nnx.Rngs(own)))
    _finish(_View(model, order), key, free)
    return model


def load(model: nnx.Module, state: state_dicts.State) -> state_dicts.Matched:
    """Puts torch's weights into the model: transposed, flipped, split and summed as its layers need; in place.

    A torch tensor's name is the path of the layer, with torch's own name for the parameter:
    `conv1.kernel` is `conv1.weight`. Each keeps its dtype, sharding and metadata.

    Args:
        model: any NNX module, its attributes named as in torch.
        state: torch's `state_dict()` (a dict of arrays), or the path of a safetensors file.

    Returns:
        For each parameter, by its path, the names of the tensors that it was made of.

    Raises:
        ValueError: tensors are missing, left over, or of shapes that do not fit; all are
            listed, and the model is unchanged.

    Example:
        >>> model = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
        >>> jaxinit.nnx.load(model, {"weight": np.ones((3, 2)), "bias": np.zeros(3)})
        {'kernel': ('weight',), 'bias': ('bias',)}
    """
    view = _View(model)
    found, free = models.known(view.nodes, view.leaves, _rule_of)
    arrays, matched = state_dicts.match(found, free, view.leaves, state_dicts.read(state), _shared(model))
    view.update(arrays)
    return matched


def _rule_of(module: nnx.Module) -> Any:
    """The rule for the nearest class of the module that has one, if any has."""
    return next((_RULES[kind] for kind in type(module).__mro__ if kind in _RULES), None)


def _key(rngs: Any) -> jax.Array:
    """The key that all others are folded from."""
    if isinstance(rngs, nnx.Rngs):
        rngs = rngs.params()
    if not arguments.is_key(rngs):
        raise TypeError(f"`rngs` must be nnx.Rngs or a JAX key, got {rngs!r}")
    key: jax.Array = rngs
    return key


def _finish(view: "_View", key: jax.Array, free: Iterable[Path]) -> None:
    """Calls the modules' own methods, and warns of what neither they nor any rule knows."""
    taught = [node for node in view.nodes if callable(getattr(node.module, "reset_parameters", None))]
    for node in taught:
        node.module.reset_parameters(nnx.Rngs(models.key_at(key, (*node.path, "reset_parameters"))))
    own = {node.at(name) for node in taught for name in node.own(view.leaves)}
    models.warn_unknown(
        [path for path in free if path not in own],
        "teach them with jaxinit.nnx.register or a method reset_parameters of their own",
    )


class _View:
    """The modules and arrays of a model by their paths: Flax's own, so that what is shared has one."""

    def __init__(self, model: nnx.Module, order: list[Path] | None = None) -> None:
        self.model = model
        self.nodes = _nodes(model)
        if order is not None:
            self.nodes.sort(key=lambda node: order.index(node.path))
        self._graphdef, state = nnx.split(model)
        self._flat = {_named(path): (path, leaf) for path, leaf in nnx.to_flat_state(state)}
        specs = {_named(path): spec for path, spec in nnx.to_flat_state(nnx.get_partition_spec(state))}
        kinds = {_named(path): type(value) for path, value in nnx.iter_graph(model) if isinstance(value, nnx.Variable)}
        self.leaves = {
            path: _leaf(leaf, specs[path])
            for path, (_, leaf) in self._flat.items()
            if issubclass(kinds[path], nnx.Param | nnx.BatchStat)
        }

    def update(self, arrays: Mapping[Path, jax.Array]) -> None:
        """Puts arrays at their paths, into the model."""
        nnx.update(self.model, self._state(arrays))

    def filled(self, arrays: Mapping[Path, jax.Array], build: Callable[[], Any]) -> Any:
        """A model with the arrays at their paths, and the rest as `build` makes it."""
        rest = [path for path in self._flat if path not in arrays]

        def remaining() -> list[jax.Array]:
            flat = {_named(path): leaf for path, leaf in nnx.to_flat_state(nnx.state(build()))}
            return [_array(flat[path]) for path in rest]

        placed = [self.leaves[path].sharding if path in self.leaves else None for path in rest]
        # Compiled, so that what is not asked for is not drawn.
        others = jax.jit(remaining, out_shardings=placed)()
        return nnx.merge(self._graphdef, self._state({**arrays, **dict(zip(rest, others, strict=True))}))

    def _state(self, arrays: Mapping[Path, jax.Array]) -> Any:
        leaves = [(self._flat[path], array) for path, array in arrays.items()]
        return nnx.from_flat_state([(path, leaf.replace(array)) for (path, leaf), array in leaves])


def _named(path: Iterable[Any]) -> Path:
    return tuple(map(str, path))


def _nodes(model: nnx.Module) -> list[Node]:
    """Every module once, inner ones first, and otherwise in the order in which attributes were set."""
    paths = _paths(model)
    modules_once = {id(module): module for _, module in _occurrences(model, (), set())}
    return [Node(paths[key], module) for key, module in modules_once.items()]


def _shared(model: nnx.Module) -> list[tuple[Path, Path]]:
    """For each module that has several paths, Flax's and each other one."""
    paths = _paths(model)
    found = ((paths[id(module)], path) for path, module in _occurrences(model, (), set()))
    return [(path, other) for path, other in found if path != other]


def _paths(model: nnx.Module) -> dict[int, Path]:
    return {id(value): _named(path) for path, value in nnx.iter_graph(model)}


def _occurrences(value: Any, path: Path, seen: set[int]) -> Iterator[tuple[Path, nnx.Module]]:
    """Every module at every path that leads to it."""
    if not isinstance(value, nnx.Pytree | dict | list | tuple):
        return
    if id(value) not in seen:
        seen.add(id(value))
        for name, child in _children(value):
            yield from _occurrences(child, (*path, str(name)), seen)
    if isinstance(value, nnx.Module):
        yield path, value


def _children(value: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(value, list | tuple):
        return enumerate(value)
    return value.items() if isinstance(value, dict) else vars(value).items()


def _array(variable: Any) -> Any:
    """The array, or what stands for it, in a leaf of a state."""
    (array,) = jax.tree.leaves(variable)
    return array


def _leaf(variable: Any, spec: Any) -> jax.ShapeDtypeStruct:
    """An array's shape, dtype and sharding: its own, or, in a mesh, the one that its metadata asks for."""
    leaf, mesh, axes = models.spec_of(_array(variable)), jax.sharding.get_abstract_mesh(), jax.tree.leaves(spec)
    if leaf.sharding is None and not mesh.empty and axes:
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=jax.sharding.NamedSharding(mesh, axes[0]))
    return leaf

"""Whole NNX models: torch's defaults, torch's `apply`, and torch's weights.

jaxinit.nnx.reset_parameters(model, nnx.Rngs(0))
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
from flax import nnx

from jaxinit import _arguments
from jaxinit._models import matching, nnx_model, state_dict, torch_modules, torch_order
from jaxinit._models.matching import Match, Path
from jaxinit._models.nnx_model import Model, View
from jaxinit._torch_generator.generator import TorchGenerator

Initializers = Mapping[str, Callable[..., jax.Array]]
Source = nnx.Rngs | jax.Array | TorchGenerator
"""Where numbers come from: `nnx.Rngs`, of which the stream `params` is used; a key; or torch's generator."""

_RULES: dict[type, Any] = {getattr(nnx, row.nnx): row.rule for row in torch_modules.TABLE if row.nnx}


def register(kind: type, rule: Callable[[Any], Initializers | None]) -> None:
    """Teaches `reset_parameters` and `init` a layer of yours.

    Args:
        kind: the class; its subclasses are meant too.
        rule: called with a layer; returns initializers by the names of its parameters (those
            of modules in it as `"name.kernel"`), or None to leave it unknown.

    Raises:
        TypeError: `kind` is not a class of modules, or `rule` not a function.

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
    if not callable(rule):
        raise TypeError(f"`rule` must be a function of a layer, got {rule!r}")
    _RULES[kind] = lambda _, layer: rule(layer)


def reset_parameters(model: nnx.Module, rngs: Source, *, order: Iterable[str] | None = None) -> None:
    """Draws every parameter of the model anew, as torch's modules do; in place.

    Each keeps its dtype, its sharding and its metadata. Its key is that of `rngs` with its
    path folded in, so that another layer changes no other numbers; a shared module is set once.
    A module's own `reset_parameters(rngs)` is called after the modules in it are set.

    Args:
        model: any NNX module.
        rngs: `nnx.Rngs`, of which the stream `params` is used; a key; or a TorchGenerator,
            for torch's own numbers: layers are then drawn in the order in which their
            attributes were set, as torch's constructors draw them.
        order: for a TorchGenerator, where torch builds its model in another order: its names
            of layers or tensors in that order, such as `list(torch_model.state_dict())`.

    Raises:
        TypeError: an argument is not of its kind.
        ValueError: of a TorchGenerator: `order` leaves out a layer, or is needed, since Flax
            sorts the attributes of a model that is merged or cloned; or a layer is stacked.

    Warns:
        UserWarning: some layers are unknown, and were left as they are; `register` them.

    Example:
        >>> model = nnx.Linear(64, 256, rngs=nnx.Rngs(0))
        >>> jaxinit.nnx.reset_parameters(model, nnx.Rngs(1))
        >>> round(float(model.kernel[...].std()), 2), bool(abs(model.kernel[...]).max() <= 0.125)
        (0.07, True)
    """
    source, view = _source(rngs), _view(model)
    matches, unmatched = matching.matched(view.nodes, view.leaves, _rule_of)
    view.update(_drawn(matches, view, source, order))
    _finish(view, source, unmatched)


def apply(
    model: nnx.Module,
    fn: Callable[[Any], Initializers | None],
    rngs: Source,
    *,
    only: str | None = None,
) -> None:
    """torch's `model.apply(init_weights)`: `fn` is asked of each module, innermost first; in place.

    Not of the parts of a layer that is one module in torch, such as a GRU's: it may answer
    for the cell with `{"dense_i.kernel": ...}`.

    Args:
        model: any NNX module.
        fn: called with a module; returns initializers by the names of its parameters, such
            as `{"kernel": jaxinit.xavier_uniform(), "bias": jaxinit.zeros()}`, or None.
        rngs: as for `reset_parameters`.
        only: a pattern such as `"head"` or `"blocks.*.kernel"`: parameters whose path, or
            that of a module around them, does not match stay as they are.

    Raises:
        TypeError: `fn` returns something else.
        ValueError: `fn` names what the module lacks, nothing matches `only`, or a TorchGenerator
            meets a model that was merged or cloned; the model is unchanged.

    Example:
        >>> model = nnx.Sequential(nnx.Linear(2, 3, rngs=nnx.Rngs(0)), nnx.relu)
        >>> def init_weights(module):
        ...     if isinstance(module, nnx.Linear):
        ...         return {"kernel": jaxinit.xavier_uniform(), "bias": jaxinit.constant(0.01)}
        >>> jaxinit.nnx.apply(model, init_weights, nnx.Rngs(0))
        >>> model.layers[0].bias[...]
        Array([0.01, 0.01, 0.01], dtype=float32)
    """
    view = _view(model)
    source, (matches, _) = _source(rngs), matching.matched(view.nodes, view.leaves, _rule_of)
    draws = matching.selected(view.nodes, matches, view.leaves, fn, only)
    if isinstance(source, TorchGenerator):
        view.update(torch_order.replay_apply(draws, matches, view.leaves, source, view.sorted))
    else:
        view.update(matching.draw(draws, view.leaves, source))


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
    view = _view(model)
    matches, _ = matching.matched(view.nodes, view.leaves, _rule_of)
    return {matching.dotted(path): init for one in matches for path, init in one.draws}


def init(build: Callable[[nnx.Rngs], Model], rngs: Source, *, order: Iterable[str] | None = None) -> Model:
    """A model built with torch's defaults, drawing nothing twice.

    The model is built abstractly, then filled: as by `reset_parameters`, each array on its
    own devices if its metadata says so and a mesh is set. What no rule knows comes from
    `build` itself.

    Args:
        build: called with `nnx.Rngs`; returns the model.
        rngs: as for `reset_parameters`.
        order: as for `reset_parameters`.

    Returns:
        The model.

    Raises:
        TypeError: an argument is not of its kind.
        ValueError: as `reset_parameters`; or `build` keeps an array where Flax does not look for one.

    Example:
        >>> model = jaxinit.nnx.init(lambda rngs: nnx.Linear(64, 256, rngs=rngs), nnx.Rngs(0))
        >>> round(float(model.kernel[...].std()), 2)
        0.07
    """
    source = _source(rngs)
    if isinstance(build, nnx.Module) or not callable(build):
        raise TypeError(f"`build` must be a function of nnx.Rngs, got {build!r}")
    own = matching.key_at(torch_order.key_of(source), ("build",))
    attributes: dict[Path, list[str]] = {}  # whose order Flax forgets

    def traced() -> Model:
        model = nnx_model.build(build, own)
        if not isinstance(model, nnx.Module):
            raise TypeError(f"`build` must return an nnx.Module, got {model!r}")
        nnx_model.require_visible(model)
        attributes.update(nnx_model.attributes(model))
        return model

    nnx_model.reorder(abstract := nnx.eval_shape(traced), attributes)
    nnx_model.require_visible(abstract)
    view = View(abstract)
    matches, unmatched = matching.matched(view.nodes, view.leaves, _rule_of)
    model: Model = view.filled(_drawn(matches, view, source, order), lambda: nnx_model.build(build, own))
    nnx_model.reorder(model, attributes)
    _finish(View(model), source, unmatched)
    return model


def load(model: nnx.Module, state: state_dict.State) -> state_dict.Matched:
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
    view = _view(model)
    matches, unmatched = matching.matched(view.nodes, view.leaves, _rule_of)
    arrays, matched = state_dict.match(matches, unmatched, view.leaves, state_dict.read(state), nnx_model.shared(model))
    view.update(arrays)
    return matched


def _view(model: Any) -> View:
    if not isinstance(model, nnx.Module):
        raise TypeError(f"`model` must be an nnx.Module, got {model!r}")
    return View(model)


def _rule_of(module: nnx.Module) -> Any:
    """The rule for the nearest class of the module that has one, if any has."""
    return next((_RULES[kind] for kind in type(module).__mro__ if kind in _RULES), None)


def _source(rngs: Any) -> jax.Array | TorchGenerator:
    """The generator, or the key that all others are folded from."""
    if isinstance(rngs, nnx.Rngs):
        rngs = rngs.params()
    if isinstance(rngs, TorchGenerator):
        return rngs
    if not _arguments.is_key(rngs):
        raise TypeError(f"`rngs` must be nnx.Rngs, a JAX key or a TorchGenerator, got {rngs!r}")
    _arguments.check_key(rngs, "rngs")
    key: jax.Array = rngs
    return key


def _drawn(
    matches: Sequence[Match], view: View, source: jax.Array | TorchGenerator, order: Iterable[str] | None
) -> dict[Path, jax.Array]:
    if isinstance(source, TorchGenerator):
        return torch_order.replay_init(matches, view.leaves, source, order, view.sorted)
    return matching.draw([draw for one in matches for draw in one.draws], view.leaves, source)


def _finish(view: View, source: jax.Array | TorchGenerator, unmatched: Iterable[Path]) -> None:
    """Calls the modules' own methods, and warns of what neither they nor any rule knows."""
    taught = [node for node in view.nodes if callable(getattr(node.module, "reset_parameters", None))]
    for node in taught:
        if isinstance(source, TorchGenerator):
            node.module.reset_parameters(source)
        else:
            node.module.reset_parameters(nnx.Rngs(matching.key_at(source, (*node.path, "reset_parameters"))))
    own = {node.at(name) for node in taught for name in node.own(view.leaves)}
    unknown = [path for path in unmatched if path not in own]
    matching.warn_unknown(unknown, "teach them with jaxinit.nnx.register or a method reset_parameters of their own")

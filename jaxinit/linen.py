"""Whole Linen models: torch's defaults, torch's `apply`, and torch's weights.

variables = jaxinit.linen.init(module, jax.random.key(0), inputs)

What a Linen module is made of shows when it runs: so each function takes the inputs of
`module.init`, and runs it abstractly. For them `jax.ShapeDtypeStruct` will do.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax

from jaxinit import _arguments
from jaxinit._models import linen_trace, matching, state_dict, torch_modules, torch_order
from jaxinit._models.linen_model import View
from jaxinit._models.matching import Match, Path
from jaxinit._torch_generator.generator import TorchGenerator

Initializers = Mapping[str, Callable[..., jax.Array]]
Shapes = Mapping[str, tuple[int, ...]]
Source = jax.Array | Mapping[str, jax.Array] | TorchGenerator
"""Where numbers come from: a key; a dict of keys, of which that of `params` is used; or torch's generator."""

_RULES: dict[type, Any] = {getattr(nn, row.linen): row.rule for row in torch_modules.TABLE if row.linen}


def register(kind: type, rule: Callable[[Any, Shapes], Initializers | None]) -> None:
    """Teaches `reset_parameters` and `init` a layer of yours.

    A method `reset_parameters(self, shapes)` of the layer does the same, and comes before
    any rule: it draws nothing, but returns the initializers.

    Args:
        kind: the class; its subclasses are meant too.
        rule: called with a layer and the shapes of its parameters (of one layer in a stack)
            by their names, those of modules in it as `"name.kernel"`; returns initializers
            by these names, or None to leave it unknown. What it leaves out, the rules of
            the modules in it set.

    Raises:
        TypeError: `kind` is not a class of modules, or `rule` not a function.

    Example:
        >>> class Scale(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, x):
        ...         return x * self.param("gain", nn.initializers.zeros, x.shape)
        >>> jaxinit.linen.register(Scale, lambda layer, shapes: {"gain": jaxinit.ones()})
        >>> jaxinit.linen.init(Scale(), jax.random.key(0), jnp.zeros(3))
        {'params': {'gain': Array([1., 1., 1.], dtype=float32)}}
    """
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise TypeError(f"`kind` must be a class of flax.linen.Module, got {kind!r}")
    if not callable(rule):
        raise TypeError(f"`rule` must be a function of a layer and its shapes, got {rule!r}")
    _RULES[kind] = lambda shapes, layer: rule(layer, dict(shapes))


def reset_parameters(
    module: nn.Module,
    variables: Any,
    key: Source,
    *inputs: Any,
    order: Iterable[str] | None = None,
    **kwargs: Any,
) -> Any:
    """Draws every parameter and running statistic anew, as torch's modules do.

    Each keeps its dtype, its sharding and its box. Its key is `key` with its path folded
    in, so that another layer changes no other numbers; a module that is called twice is set
    once. Layers stacked by `nn.scan` and `nn.vmap` are drawn each by itself.

    Args:
        module: any Linen module.
        variables: of the module, as `module.init` returns them; they stay as they are.
        key: a key; a dict of keys, of which that of `params` is used; or a TorchGenerator, for
            torch's own numbers: modules are then drawn one after the other, as they are called.
        *inputs: as for `module.init`.
        order: for a TorchGenerator, where torch builds its model in another order: torch's
            names of modules or tensors in that order, such as `list(torch_model.state_dict())`.
        **kwargs: as for `module.init`.

    Returns:
        New variables, of the kind of `variables`. Collections but `params` and
        `batch_stats` are the same.

    Raises:
        TypeError: an argument is not of its kind.
        ValueError: `variables` are not of the module with these inputs, or `order` names some
            layers but not all.

    Warns:
        UserWarning: some layers are unknown, and were left as they are; `register` them.

    Example:
        >>> module, x = nn.Dense(256), jnp.zeros((1, 64))
        >>> variables = module.init(jax.random.key(0), x)
        >>> variables = jaxinit.linen.reset_parameters(module, variables, jax.random.key(1), x)
        >>> bias = variables["params"]["bias"]
        >>> bool(bias.any()), bool(abs(bias).max() <= 1 / 8)
        (True, True)
    """
    source, view = _source(key), _view(module, variables, inputs, kwargs)
    matches, unmatched = matching.matched(view.nodes, view.leaves, _rule_of)
    _warn(unmatched)
    return view.filled(_drawn(matches, view, source, order))


def apply(
    module: nn.Module,
    variables: Any,
    fn: Callable[[Any], Initializers | None],
    key: Source,
    *inputs: Any,
    only: str | None = None,
    **kwargs: Any,
) -> Any:
    """torch's `model.apply(init_weights)`: `fn` is asked of each module, inner ones first.

    Not of the parts of a layer that is one module in torch, such as a GRU's: it may answer
    for the cell with `{"ir.kernel": ...}`.

    Args:
        module: any Linen module.
        variables: as for `reset_parameters`.
        fn: called with a module, unbound; returns initializers by the names of its
            parameters (of one layer in a stack), such as
            `{"kernel": jaxinit.xavier_uniform(), "bias": jaxinit.zeros()}`, or None.
        key: as for `reset_parameters`.
        *inputs: as for `module.init`.
        only: a pattern such as `"head"` or `"blocks_*.kernel"`: parameters whose path, or
            that of a module around them, does not match stay as they are.
        **kwargs: as for `module.init`.

    Returns:
        New variables, of the kind of `variables`.

    Raises:
        TypeError: `fn` returns something else.
        ValueError: `fn` names what the module lacks, or nothing matches `only`.

    Example:
        >>> module, x = nn.Sequential([nn.Dense(3), nn.relu]), jnp.zeros((1, 2))
        >>> def init_weights(module):
        ...     if isinstance(module, nn.Dense):
        ...         return {"kernel": jaxinit.xavier_uniform(), "bias": jaxinit.constant(0.01)}
        >>> variables = module.init(jax.random.key(0), x)
        >>> jaxinit.linen.apply(module, variables, init_weights, jax.random.key(1), x)["params"]["layers_0"]["bias"]
        Array([0.01, 0.01, 0.01], dtype=float32)
    """
    source, view = _source(key), _view(module, variables, inputs, kwargs)
    matches, _ = matching.matched(view.nodes, view.leaves, _rule_of)
    draws = matching.selected(view.nodes, matches, view.leaves, fn, only)
    if isinstance(source, TorchGenerator):
        listed, _ = view.listed(matches, ())
        arrays = torch_order.replay_apply(view.listed_draws(draws), listed, view.listed_leaves, source)
        return view.filled(view.stacked(arrays))
    return view.filled(view.draw(draws, source))


def init(module: nn.Module, key: Source, *inputs: Any, order: Iterable[str] | None = None, **kwargs: Any) -> Any:
    """`module.init` with torch's defaults for every layer, whatever its `kernel_init` says.

    Nothing is drawn twice: as by `reset_parameters`, each array on its own devices if its
    box says so and a mesh is set. What no rule knows, and other collections, are those of
    `module.init` with this key (for a TorchGenerator, the key of its seed).

    Args:
        module: any Linen module.
        key: as for `reset_parameters`.
        *inputs: as for `module.init`.
        order: as for `reset_parameters`.
        **kwargs: as for `module.init`.

    Returns:
        The variables.

    Raises:
        TypeError: an argument is not of its kind.

    Warns:
        UserWarning: some layers are unknown; `register` them.

    Example:
        >>> variables = jaxinit.linen.init(nn.Dense(256), jax.random.key(0), jnp.zeros((1, 64)))
        >>> kernel = variables["params"]["kernel"]
        >>> kernel.shape, bool(abs(kernel).max() <= 1 / 8)
        ((64, 256), True)
    """
    source, view = _source(key), View(module, None, inputs, kwargs)
    matches, unmatched = matching.matched(view.nodes, view.leaves, _rule_of)
    _warn(unmatched)
    drawn = _drawn(matches, view, source, order)
    args, options = linen_trace.concrete((inputs, kwargs))
    return view.filled(drawn, lambda: module.init(torch_order.key_of(key), *args, **options))


def load(
    module: nn.Module, variables: Any, state: state_dict.State, *inputs: Any, **kwargs: Any
) -> tuple[Any, state_dict.Matched]:
    """Puts torch's weights into variables: transposed, flipped, split and summed as the layers need.

    A torch tensor's name is the path of the layer, with torch's own name for the parameter:
    `conv1.kernel` is `conv1.weight`. `blocks_0` may be torch's `blocks.0`, also where the
    blocks are stacked by `nn.scan`. Each array keeps its dtype, sharding and box.

    Args:
        module: any Linen module, its attributes named as in torch.
        variables: as for `reset_parameters`.
        state: torch's `state_dict()` (a dict of arrays), or the path of a safetensors file.
        *inputs: as for `module.init`.
        **kwargs: as for `module.init`.

    Returns:
        New variables, of the kind of `variables`; and for each parameter, by its path, the
        names of the tensors that it was made of.

    Raises:
        ValueError: tensors are missing, left over, or of shapes that do not fit; all are listed.

    Example:
        >>> module, x = nn.Dense(3), jnp.zeros((1, 2))
        >>> variables = module.init(jax.random.key(0), x)
        >>> state = {"weight": np.ones((3, 2)), "bias": np.zeros(3)}
        >>> variables, matched = jaxinit.linen.load(module, variables, state, x)
        >>> matched
        {'kernel': ('weight',), 'bias': ('bias',)}
    """
    view = _view(module, variables, inputs, kwargs)
    matches, unmatched = view.listed(*matching.matched(view.nodes, view.leaves, _rule_of))
    arrays, matched = state_dict.match(matches, unmatched, view.listed_leaves, state_dict.read(state))
    return view.filled(view.stacked(arrays)), matched


def _rule_of(module: nn.Module) -> Any:
    """The module's own method, or the rule for the nearest of its classes that has one, if any has."""
    if callable(getattr(module, "reset_parameters", None)):
        return lambda shapes, layer: layer.reset_parameters(dict(shapes))
    return next((_RULES[kind] for kind in type(module).__mro__ if kind in _RULES), None)


def _view(module: nn.Module, variables: Any, inputs: Any, kwargs: Any) -> View:
    if not isinstance(variables, Mapping):
        raise TypeError(f"`variables` must be a dict of collections, as `module.init` returns, got {variables!r}")
    return View(module, variables, inputs, kwargs)


def _source(key: Any) -> jax.Array | TorchGenerator:
    """The generator, or the key that all others are folded from."""
    if isinstance(key, Mapping) and "params" not in key:
        raise ValueError(f"`key` must be a key, or a dict with a key of 'params', got {sorted(key)}")
    own: jax.Array | TorchGenerator = key["params"] if isinstance(key, Mapping) else key
    if not isinstance(own, TorchGenerator):
        _arguments.check_key(own)
    return own


def _drawn(
    matches: Sequence[Match], view: View, source: jax.Array | TorchGenerator, order: Iterable[str] | None
) -> dict[Path, jax.Array]:
    if isinstance(source, TorchGenerator):
        listed, _ = view.listed(matches, ())
        return view.stacked(torch_order.replay_init(listed, view.listed_leaves, source, order))
    return view.draw([draw for one in matches for draw in one.draws], source)


def _warn(unmatched: Iterable[Path]) -> None:
    matching.warn_unknown(unmatched, "teach them with jaxinit.linen.register or a method reset_parameters of their own")

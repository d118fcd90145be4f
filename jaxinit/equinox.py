"""Give whole Equinox models torch's defaults, initializers of your own, or torch's weights.

model = jaxinit.equinox.init(lambda key: eqx.nn.MLP(2, 3, 64, 2, key=key), jax.random.key(0))

Each function takes a model and returns a new one. Arrays keep their dtype and sharding. A model with state, such as
running statistics, is a pair `(model, state)`, and so is what the functions return for it.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import equinox as eqx
import jax
import numpy as np

from jaxinit._models.equinox.layers import RULES
from jaxinit._models.equinox.model import EquinoxModel, as_source
from jaxinit._models.loading.checkpoint import State, drawn
from jaxinit._models.loading.selection import Globs, Rename
from jaxinit._models.loading.state_dict import Matched
from jaxinit._models.matching import InitFn, Initializers, Patterns
from jaxinit._sampling.source import KeySource
from jaxinit._torch_generator.generator import TorchGenerator

M = TypeVar("M", bound=eqx.Module | tuple[eqx.Module, eqx.nn.State])
Source = jax.Array | TorchGenerator
"""Where numbers come from: a key, or torch's generator."""


def register(kind: type, rule: Callable[[Any], Initializers | None]) -> None:
    """Register an initialization rule for a layer of yours, for all models to come.

    Args:
        kind: the class. Subclasses without a rule follow it too.
        rule: called with a layer. Return initializers by the names of its parameters, such as
            `"gain"` or, in a module in it, `"name.weight"`, or return None for no rule. What the
            rule does not name follows the rules of base classes and of inner modules.

    Raises:
        TypeError: `kind` is not a class of modules, or `rule` is not a function.

    Example:
        >>> class Scale(eqx.Module):
        ...     gain: jax.Array
        >>> jaxinit.equinox.register(Scale, lambda layer: {"gain": jaxinit.ones()})
        >>> jaxinit.equinox.reset_parameters(Scale(jnp.zeros(3)), jax.random.key(0)).gain
        Array([1., 1., 1.], dtype=float32)
    """
    RULES.register(kind, rule, "a layer", lambda rule: lambda _, layer: rule(layer))


def reset_parameters(model: M, key: Source, *, order: Iterable[str] | None = None) -> M:
    """Return the model with every parameter and running statistic drawn anew, as torch's modules do.

    The key of an array is `key` with the array's path folded in. So a layer more changes no
    other numbers. Each layer that `eqx.filter_vmap` stacks is drawn by itself.

    Args:
        model: the model, or a pair of a model and its state.
        key: a key, or a TorchGenerator for torch's numbers. torch draws layers and arrays in the order of the fields.
        order: torch's names of layers or tensors if its order differs, such as `list(torch_model.state_dict())`.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: `order` leaves out a layer or names what the model lacks, or there is no `order` for a
            model with a dict of layers.

    Warns:
        UserWarning: some layers have no rule, and keep their values. Use `register`.

    Example:
        >>> model = eqx.nn.Conv2d(16, 32, 2, key=jax.random.key(0))
        >>> model = jaxinit.equinox.reset_parameters(model, jax.random.key(1))
        >>> model.weight.shape, round(float(model.weight.std()), 2), bool(abs(model.weight).max() <= 0.125)
        ((32, 16, 2, 2), 0.07, True)
    """
    source, view = as_source(key), EquinoxModel(model)
    view.warn()
    new: M = view.filled(view.init(source, order))
    return new


def apply(model: M, fn: InitFn | Patterns, key: Source, *, only: Globs | None = None) -> M:
    """Return the model with what a function of each module asks for, as torch's `model.apply(init_weights)` does.

    Inner modules come first. A layer that is one module in torch, such as attention, is one here: it
    has the parameter `"query_proj.weight"` and so on.

    Args:
        model: as for `reset_parameters`.
        fn: called with a module. Return initializers by the names of its parameters, such as
            `{"weight": jaxinit.xavier_uniform(), "bias": jaxinit.zeros()}`, or None. Or a dict of initializers by
            patterns of paths, as for `jaxinit.nnx.apply`.
        key: as for `reset_parameters`.
        only: a pattern such as `"head"` or `"blocks.*.weight"` for the parameters to draw, or for
            modules around them. It may be a function such as `lambda model: model.head`, or a list of these.

    Raises:
        TypeError: `fn` returns something else.
        ValueError: `fn` names what the module lacks or has an unused pattern, or nothing matches `only`.

    Example:
        >>> model = eqx.nn.MLP(2, 3, 8, 1, key=jax.random.key(0))
        >>> def init_weights(module):
        ...     if isinstance(module, eqx.nn.Linear):
        ...         return {"weight": jaxinit.xavier_uniform(), "bias": jaxinit.constant(0.01)}
        >>> model = jaxinit.equinox.apply(model, init_weights, jax.random.key(0))
        >>> model.layers[1].bias
        Array([0.01, 0.01, 0.01], dtype=float32)
        >>> model = jaxinit.equinox.apply(model, {"**/bias": jaxinit.ones()}, jax.random.key(0))
        >>> model.layers[1].bias
        Array([1., 1., 1.], dtype=float32)
    """
    view = EquinoxModel(model)
    new: M = view.filled(view.apply(as_source(key), fn, only))
    return new


def initializers(model: eqx.Module | tuple[eqx.Module, eqx.nn.State]) -> Initializers:
    """Return what `reset_parameters` draws each parameter from, by dotted path, without drawing.

    For a stacked array this is the initializer of one layer. Parameters without a rule are left out.

    Args:
        model: as for `reset_parameters`, concrete or abstract.

    Raises:
        TypeError: `model` is not a module or such a pair.

    Example:
        >>> jaxinit.equinox.initializers(eqx.nn.Linear(64, 256, key=jax.random.key(0)))["bias"]
        jaxinit.uniform(a=-0.125, b=0.125)
    """
    return EquinoxModel(model).initializers()


def init(build: Callable[[jax.Array], M], key: Source, *, order: Iterable[str] | None = None) -> M:
    """Build a model with torch's defaults in place of Equinox's own.

    `build` runs in a trace, so that nothing is drawn twice. Arrays with a rule have the numbers of
    `reset_parameters`, whatever `build` puts there. Set other values afterwards, with `apply` or `eqx.tree_at`.

    Args:
        build: called with a key. Return the model, or a pair of a model and its state, as functions that
            `eqx.nn.make_with_state` returns do. What has no rule stays as built.
        key: as for `reset_parameters`. The key of `build` for a TorchGenerator follows from its seed.
        order: as for `reset_parameters`.

    Raises:
        TypeError: an argument has the wrong type, or `build` returns something else.
        ValueError: as `reset_parameters`.

    Example:
        >>> model = jaxinit.equinox.init(lambda key: eqx.nn.Linear(64, 256, key=key), jax.random.key(0))
        >>> round(float(model.weight.std()), 2)
        0.07
    """
    given: Any = build
    if isinstance(given, eqx.Module):
        rule = f"`build` must be a function of a key, got a {type(given).__name__} that is built"
        raise TypeError(f"{rule}. Call jaxinit.equinox.reset_parameters to draw it anew")
    if not callable(given):
        raise TypeError(f"`build` must be a function of a key, got {given!r}")
    source = as_source(key)
    own = KeySource(source.key).at(("build",)).key
    abstract = eqx.filter_eval_shape(build, own)
    view = EquinoxModel(abstract, rule="`build` must return")
    view.warn()
    new: M = view.filled(view.init(source, order), build=lambda: build(own))
    return new


def load(
    model: M,
    state: State,
    *,
    rename: Rename | None = None,
    only: Globs | None = None,
    ignore: Globs | None = None,
    transposed: Globs | None = None,
    strict: bool = True,
    key: Source | None = None,
) -> tuple[M, Matched]:
    """Return the model with torch's weights: transposed, flipped, split and summed as the layers need.

    A torch tensor has the path of the layer and torch's name of the parameter: `rnn.bias` is the sum of
    `rnn.bias_ih` and `rnn.bias_hh`. A module `blocks` that `eqx.filter_vmap` stacked may be the list `blocks.0`,
    `blocks.1` and so on in torch. A BatchNorm then counts as one that has seen many batches.

    Args:
        model: as for `reset_parameters`, with fields named as in torch.
        state: torch's `state_dict()`, which is a dict of arrays, or a path, or several paths. A path leads to a
            safetensors file, to the index of a sharded checkpoint, or to a folder with one of these. A file of
            `torch.save` that ends in .bin, .pt, .pth or .ckpt is read by torch with `weights_only=True`. A
            `jaxinit.Recipe` is drawn with `key`.
        rename: what torch's names become: a function, a dict of new names by old ones, or pairs of a regular
            expression and what replaces it. By default no name changes.
        only: a shell pattern or several, of paths of parameters or names of tensors, or functions of the model such
            as `lambda model: model.head`. Nothing else is loaded.
        ignore: the same for what is not loaded.
        transposed: the same for matrices that torch has as (in, out), such as those of Conv1D in transformers.
        strict: whether all must fit. Otherwise the parameters that fit are loaded, and the `problems` of the result
            list what did not.
        key: as for `reset_parameters`, if `state` is a recipe.

    Returns:
        The new model, and the names of the tensors that each parameter is made of, by its path.

    Raises:
        TypeError: an argument has the wrong type, or a tensor has no values.
        ValueError: tensors are missing, left over, of shapes that do not fit, or with values that the dtype
            of the model cannot hold. The message lists them all. Also if no parameter fits,
            or a pattern matches nothing.

    Example:
        >>> model = eqx.nn.LSTMCell(2, 1, key=jax.random.key(0))
        >>> state = torch.nn.LSTMCell(2, 1).state_dict()
        >>> model, names = jaxinit.equinox.load(model, state)
        >>> names["bias"]
        ('bias_ih', 'bias_hh')
    """
    view = EquinoxModel(model)
    state = drawn(state, "key", None if key is None else as_source(key).either)
    arrays, names = view.load(state, rename, strict, only=only, ignore=ignore, transposed=transposed)
    new: M = view.filled(arrays, is_loaded=True)
    return new, names


def state_dict(
    model: eqx.Module | tuple[eqx.Module, eqx.nn.State],
    *,
    names: Iterable[str] | None = None,
    rename: Rename | None = None,
    transposed: Globs | None = None,
) -> dict[str, np.ndarray]:
    """Return the weights as torch has them: its names, its axes, its packed tensors. The inverse of `load`.

    Each array is a copy. torch takes it after `torch.from_numpy`, and safetensors writes it.
    Where torch adds two biases, the first (`bias_ih`) gets the sum and the second is zero.
    Each layer of a stack `blocks` has its own names: `blocks.0`, `blocks.1` and so on.

    Args:
        model: as for `reset_parameters`, with fields named as in torch.
        names: torch's names, such as `list(torch_model.state_dict())`. They decide where several are possible:
            attention in one tensor or in four Linears, `conv_1` or `conv.1`, weight_norm.
        rename: as for `load`, with `names`. It maps torch's names to those of the model, and is undone here.
        transposed: as for `load`.

    Raises:
        TypeError: an argument has the wrong type, or the model is abstract.
        ValueError: `names` are not those of the tensors of the model, or there is `rename` without `names`.

    Example:
        >>> model = eqx.nn.Sequential([eqx.nn.Linear(2, 3, key=jax.random.key(0)), eqx.nn.PReLU()])
        >>> {name: array.shape for name, array in jaxinit.equinox.state_dict(model).items()}
        {'0.weight': (3, 2), '0.bias': (3,), '1.weight': (1,)}
    """
    return EquinoxModel(model).torch_state(names, rename, transposed)

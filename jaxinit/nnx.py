"""Give whole NNX models torch's defaults, initializers of your own, or torch's weights.

jaxinit.nnx.reset_parameters(model, nnx.Rngs(0))

All functions take any NNX module. Parameters and running statistics keep their dtype,
sharding and metadata, and a shared module is set once.
"""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np
from flax import nnx

from jaxinit._models.flax import rules
from jaxinit._models.flax.nnx_build import Construction, M
from jaxinit._models.flax.nnx_model import NNXModel, as_source
from jaxinit._models.loading.checkpoint import State, drawn
from jaxinit._models.loading.selection import Globs, Rename
from jaxinit._models.loading.state_dict import Matched
from jaxinit._models.matching import InitFn, Initializers, Patterns
from jaxinit._torch_generator.generator import TorchGenerator

Source = nnx.Rngs | jax.Array | TorchGenerator
"""Where numbers come from: `nnx.Rngs`, of which the stream `params` is used, a key, or torch's generator."""


def register(kind: type, rule: Callable[[Any], Initializers | None]) -> None:
    """Register an initialization rule for a layer of yours, for all models to come.

    Args:
        kind: the class. Subclasses without a rule follow it too.
        rule: called with a layer. Return initializers by the names of its parameters, such as
            `"gain"` or, in a module in it, `"name.kernel"`, or return None for no rule. What the
            rule does not name follows the rules of base classes and of inner modules.

    Raises:
        TypeError: `kind` is not a class of modules, or `rule` is not a function.

    Example:
        >>> class Scale(nnx.Module):
        ...     def __init__(self, size, *, rngs):
        ...         self.gain = nnx.Param(jnp.zeros(size))
        >>> jaxinit.nnx.register(Scale, lambda layer: {"gain": jaxinit.ones()})
        >>> jaxinit.nnx.init(lambda rngs: Scale(3, rngs=rngs), nnx.Rngs(0)).gain[...]
        Array([1., 1., 1.], dtype=float32)
    """
    rules.NNX.register(kind, rule, "a layer", lambda rule: lambda _, layer: rule(layer))


def reset_parameters(model: nnx.Module, rngs: Source, *, order: Iterable[str] | None = None) -> None:
    """Draw every parameter anew, as torch's modules do, in place.

    The key of an array is the key of `rngs` with the array's path folded in. So a layer more
    changes no other numbers. A method `reset_parameters(rngs)` of a module is called after
    the modules in it are set. It gets `nnx.Rngs`, or the TorchGenerator. Shardings are kept,
    under `nnx.jit` too.

    Args:
        model: the model.
        rngs: `nnx.Rngs`, of which the stream `params` is used, a key, or a TorchGenerator for
            torch's numbers. torch draws layers and arrays in the order in which attributes are set.
        order: torch's names of layers or tensors if its order differs, such as `list(torch_model.state_dict())`.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: `order` leaves out a layer or names what the model lacks. A TorchGenerator also
            needs `order` for stacked layers, and for a model whose attributes Flax sorted.

    Warns:
        UserWarning: some layers have no rule, and keep their values. Use `register`.

    Example:
        >>> model = nnx.Linear(64, 256, rngs=nnx.Rngs(0))
        >>> jaxinit.nnx.reset_parameters(model, nnx.Rngs(1))
        >>> round(float(model.kernel[...].std()), 2), bool(abs(model.kernel[...]).max() <= 0.125)
        (0.07, True)
    """
    source, view = as_source(rngs), NNXModel(model)
    view.update(view.init(source, order))
    view.finish(source, view.unmatched)


def apply(model: nnx.Module, fn: InitFn | Patterns, rngs: Source, *, only: Globs | None = None) -> None:
    """Draw what a function of each module asks for, as torch's `model.apply(init_weights)` does, in place.

    Inner modules come first. A layer that is one module in torch, such as a GRU, is one here: it
    has the parameter `"dense_i.kernel"` and so on.

    Args:
        model: the model.
        fn: called with a module. Return initializers by the names of its parameters, such as
            `{"kernel": jaxinit.xavier_uniform(), "bias": jaxinit.zeros()}`, or None. Or a dict of initializers by
            patterns of paths such as `"**/attn/**/kernel"`. In a pattern `*` fits within a name, and `**` fits any
            number of names. The first pattern that fits a parameter counts, and None keeps its values.
        rngs: as for `reset_parameters`.
        only: a pattern such as `"head"` or `"blocks.*.kernel"` for the parameters to draw, or for
            modules around them. It may be a filter such as `nnx.Param`, or a list of patterns and filters.

    Raises:
        TypeError: `fn` returns something else.
        ValueError: `fn` names what the module lacks, a pattern is never the first to fit, or nothing
            matches `only`. Also if a TorchGenerator meets a model whose attributes Flax sorted. The
            model is unchanged.

    Example:
        >>> model = nnx.Sequential(nnx.Linear(2, 3, rngs=nnx.Rngs(0)), nnx.relu)
        >>> def init_weights(module):
        ...     if isinstance(module, nnx.Linear):
        ...         return {"kernel": jaxinit.xavier_uniform(), "bias": jaxinit.constant(0.01)}
        >>> jaxinit.nnx.apply(model, init_weights, nnx.Rngs(0))
        >>> model.layers[0].bias[...]
        Array([0.01, 0.01, 0.01], dtype=float32)
        >>> jaxinit.nnx.apply(model, {"**/bias": jaxinit.ones(), "**/kernel": jaxinit.orthogonal()}, nnx.Rngs(0))
        >>> model.layers[0].bias[...]
        Array([1., 1., 1.], dtype=float32)
    """
    view = NNXModel(model)
    view.update(view.apply(as_source(rngs), fn, only))


def initializers(model: nnx.Module) -> Initializers:
    """Return what `reset_parameters` draws each parameter from, by dotted path, without drawing.

    Parameters without a rule are left out, and so is what a method `reset_parameters` does.

    Args:
        model: the model, concrete or abstract.

    Example:
        >>> jaxinit.nnx.initializers(nnx.Linear(64, 256, rngs=nnx.Rngs(0)))["bias"]
        jaxinit.uniform(a=-0.125, b=0.125)
    """
    return NNXModel(model).initializers()


def init(build: Callable[[nnx.Rngs], M], rngs: Source, *, order: Iterable[str] | None = None) -> M:
    """Build a model as Flax does, with torch's defaults in place of Flax's own.

    A parameter whose layer was given an initializer, such as `kernel_init`, is drawn from it as
    Flax does. From a TorchGenerator, jaxinit's initializers draw after the layer, as in torch.
    Other parameters have the numbers of `reset_parameters`. Nothing is drawn twice. In a mesh,
    each of them is drawn on the devices that its metadata names.

    Args:
        build: called twice with `nnx.Rngs`, the first time in a trace. Return the model. What
            has no rule stays as built.
        rngs: as for `reset_parameters`. `build` gets all streams of `nnx.Rngs`.
        order: as for `reset_parameters`.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: as `reset_parameters`.

    Example:
        >>> model = jaxinit.nnx.init(lambda rngs: nnx.Linear(64, 256, rngs=rngs), nnx.Rngs(0))
        >>> round(float(model.kernel[...].std()), 2)
        0.07
    """
    source = as_source(nnx.clone(rngs) if isinstance(rngs, nnx.Rngs) else rngs)
    construction = Construction(build, rngs, source.key)
    view = NNXModel(construction.abstract)
    # From torch's generator a method draws in its turn, and may look at what was drawn before. So it needs the model.
    needs_model = source.generator is not None and view.with_method
    model = construction.fill({} if needs_model else view.init(source, order, construction.given))
    filled = NNXModel(model)
    if needs_model:
        filled.update(filled.init(source, order, construction.given))
    filled.finish(source, view.unmatched)
    return model


def load(
    model: nnx.Module,
    state: State,
    *,
    rename: Rename | None = None,
    only: Globs | None = None,
    ignore: Globs | None = None,
    transposed: Globs | None = None,
    strict: bool = True,
    rngs: Source | None = None,
) -> Matched:
    """Load torch's weights: transposed, flipped, split and summed as the layers need, in place.

    A torch tensor has the path of the layer and torch's name of the parameter: `conv1.kernel` is `conv1.weight`.
    A module `blocks` that `nnx.vmap` stacked may be the list `blocks.0`, `blocks.1` and so on in torch.

    Args:
        model: the model, with attributes named as in torch.
        state: torch's `state_dict()`, which is a dict of arrays, or a path, or several paths. A path leads to a
            safetensors file, to the index of a sharded checkpoint, or to a folder with one of these. A file of
            `torch.save` that ends in .bin, .pt, .pth or .ckpt is read by torch with `weights_only=True`. A
            `jaxinit.Recipe` is drawn with `rngs`.
        rename: what torch's names become: a function, a dict of new names by old ones, or pairs of a regular
            expression and what replaces it. By default no name changes.
        only: a shell pattern or several, of paths of parameters or names of tensors, or filters of Flax such as
            `nnx.Param`. Nothing else is loaded.
        ignore: the same for what is not loaded.
        transposed: the same for matrices that torch has as (in, out), such as those of Conv1D in transformers.
        strict: whether all must fit. Otherwise the parameters that fit are loaded, and the `problems` of the result
            list what did not.
        rngs: as for `reset_parameters`, if `state` is a recipe.

    Returns:
        The names of the tensors that each parameter is made of, by its path.

    Raises:
        TypeError: an argument has the wrong type, or a tensor has no values.
        ValueError: tensors are missing, left over, of shapes that do not fit, or with values that the dtype
            of the model cannot hold. The message lists them all, and the model is unchanged.
            Also if no parameter fits, or a pattern matches nothing.

    Example:
        >>> model = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
        >>> jaxinit.nnx.load(model, {"weight": np.ones((3, 2)), "bias": np.zeros(3)})
        {'kernel': ('weight',), 'bias': ('bias',)}
        >>> jaxinit.nnx.load(model, {"weight": np.ones((3, 2))}, strict=False).problems
        ('missing bias, of shape (3,)',)
    """
    view = NNXModel(model)
    state = drawn(state, "rngs", None if rngs is None else as_source(rngs).either)
    arrays, names = view.load(state, rename, strict, only=only, ignore=ignore, transposed=transposed)
    view.update(arrays)
    return names


def state_dict(
    model: nnx.Module,
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
        model: the model, with attributes named as in torch.
        names: torch's names, such as `list(torch_model.state_dict())`. They decide where several are possible:
            attention in one tensor or in four Linears, the module that is a list, weight_norm.
        rename: as for `load`, with `names`. It maps torch's names to those of the model, and is undone here.
        transposed: as for `load`.

    Raises:
        TypeError: an argument has the wrong type, or the model is abstract.
        ValueError: `names` are not those of the tensors of the model, or there is `rename` without `names`.

    Example:
        >>> state = jaxinit.nnx.state_dict(nnx.Linear(2, 3, rngs=nnx.Rngs(0)))
        >>> {name: array.shape for name, array in state.items()}
        {'weight': (3, 2), 'bias': (3,)}
    """
    return NNXModel(model).torch_state(names, rename, transposed)

"""Give whole Linen models torch's defaults, initializers of your own, or torch's weights.

variables = jaxinit.linen.init(module, jax.random.key(0), inputs)

A Linen module makes its layers when it runs. So each function takes the inputs of
`module.init`, or `jax.ShapeDtypeStruct` for them, and runs the module abstractly. Functions
return new variables, in which arrays keep their dtype, sharding and box.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from jaxinit._models.correspondence import Shapes
from jaxinit._models.flax import linen_trace, rules
from jaxinit._models.flax.linen_model import LinenModel, as_source
from jaxinit._models.loading.checkpoint import State, drawn
from jaxinit._models.loading.selection import Globs, Rename
from jaxinit._models.loading.state_dict import Matched
from jaxinit._models.matching import InitFn, Initializers, Patterns
from jaxinit._torch_generator.generator import TorchGenerator

Source = jax.Array | Mapping[str, jax.Array] | TorchGenerator
"""Where numbers come from: a key, a dict of keys, of which the one of `params` is used, or torch's generator."""


def register(kind: type, rule: Callable[[Any, Shapes], Initializers | None]) -> None:
    """Register an initialization rule for a layer of yours, for all models to come.

    A method `reset_parameters(self, shapes)` of the layer does the same, and comes before any
    rule. It returns initializers and draws nothing.

    Args:
        kind: the class. Subclasses without a rule follow it too.
        rule: called with a layer and the shapes of its parameters by name, such as `"gain"` or,
            in a module in it, `"name.kernel"`. In a stack these are shapes of one layer. Return
            initializers by name, or None for no rule. What the rule does not name follows the
            rules of base classes and of inner modules.

    Raises:
        TypeError: `kind` is not a class of modules, or `rule` is not a function.

    Example:
        >>> class Scale(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, x):
        ...         return x * self.param("gain", nn.initializers.zeros, x.shape)
        >>> jaxinit.linen.register(Scale, lambda layer, shapes: {"gain": jaxinit.ones()})
        >>> jaxinit.linen.init(Scale(), jax.random.key(0), jnp.zeros(3))
        {'params': {'gain': Array([1., 1., 1.], dtype=float32)}}
    """
    rules.LINEN.register(
        kind, rule, "a layer and its shapes", lambda rule: lambda shapes, layer: rule(layer, dict(shapes))
    )


def reset_parameters(
    module: nn.Module, variables: Any, key: Source, *inputs: Any, order: Iterable[str] | None = None, **kwargs: Any
) -> Any:
    """Draw every parameter and running statistic anew, as torch's modules do.

    The key of an array is `key` with the array's path folded in. So a layer more changes no
    other numbers. Each layer that `nn.scan` or `nn.vmap` stacks is drawn by itself.

    Args:
        module: the module.
        variables: variables of the module, as `module.init` returns them.
        key: a key, a dict of keys, of which the one of `params` is used, or a TorchGenerator for
            torch's numbers. torch draws layers and arrays in the order in which `setup` sets
            them, and a compact method makes them.
        *inputs: as for `module.init`.
        order: torch's names of layers or tensors if its order differs, such as `list(torch_model.state_dict())`.
        **kwargs: as for `module.init`.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: `variables` are not of the module with these inputs, or `order` leaves out a layer
            or names what the module lacks. Also if `order` is missing where nothing shows torch's.

    Warns:
        UserWarning: some layers have no rule, and keep their values. Use `register`.

    Example:
        >>> module, x = nn.Dense(256), jnp.zeros((1, 64))
        >>> variables = module.init(jax.random.key(0), x)
        >>> variables = jaxinit.linen.reset_parameters(module, variables, jax.random.key(1), x)
        >>> bool(variables["params"]["bias"].any())
        True
    """
    source, view = as_source(key), LinenModel(module, inputs, kwargs, variables=variables)
    view.warn()
    return view.filled(view.init(source, order))


def apply(
    module: nn.Module,
    variables: Any,
    fn: InitFn | Patterns,
    key: Source,
    *inputs: Any,
    only: Globs | None = None,
    **kwargs: Any,
) -> Any:
    """Draw what a function of each module asks for, as torch's `model.apply(init_weights)` does.

    Inner modules come first. A layer that is one module in torch, such as a GRU, is one here: it
    has the parameter `"ir.kernel"` and so on.

    Args:
        module: the module.
        variables: as for `reset_parameters`.
        fn: called with a module, unbound. Return initializers by the names of its parameters, such
            as `{"kernel": jaxinit.xavier_uniform(), "bias": jaxinit.zeros()}`, or None. Or a dict of initializers by
            patterns of paths, as for `jaxinit.nnx.apply`.
        key: as for `reset_parameters`.
        *inputs: as for `module.init`.
        only: a pattern such as `"head"` or `"blocks_*.kernel"` for the parameters to draw, or for
            modules around them. It may be a function of a path (a tuple) and its array, or a list of these.
        **kwargs: as for `module.init`.

    Raises:
        TypeError: `fn` returns something else.
        ValueError: `fn` names what the module lacks or has an unused pattern, or nothing matches `only`.

    Example:
        >>> module, x = nn.Dense(3), jnp.zeros((1, 2))
        >>> init_weights = lambda module: {"bias": jaxinit.constant(0.01)} if type(module) is nn.Dense else None
        >>> variables = module.init(jax.random.key(0), x)
        >>> jaxinit.linen.apply(module, variables, init_weights, jax.random.key(1), x)["params"]["bias"]
        Array([0.01, 0.01, 0.01], dtype=float32)
        >>> jaxinit.linen.apply(module, variables, {"**/bias": jaxinit.ones()}, jax.random.key(1), x)["params"]["bias"]
        Array([1., 1., 1.], dtype=float32)
    """
    source, view = as_source(key), LinenModel(module, inputs, kwargs, variables=variables)
    return view.filled(view.apply(source, fn, only))


def initializers(module: nn.Module, *inputs: Any, **kwargs: Any) -> Initializers:
    """Return what `reset_parameters` draws each parameter from, by dotted path, without drawing.

    For a stacked array this is the initializer of one layer. Parameters without a rule are left out.

    Args:
        module: the module.
        *inputs: as for `module.init`.
        **kwargs: as for `module.init`.

    Raises:
        TypeError: `module` is not a Linen module.

    Example:
        >>> jaxinit.linen.initializers(nn.Dense(256), jnp.zeros((1, 64)))["bias"]
        jaxinit.uniform(a=-0.125, b=0.125)
    """
    return LinenModel(module, inputs, kwargs).initializers()


def init(module: nn.Module, key: Source, *inputs: Any, order: Iterable[str] | None = None, **kwargs: Any) -> Any:
    """Return `module.init` with torch's defaults in place of Flax's own.

    A parameter whose layer was given an initializer, such as `kernel_init`, is drawn from it as
    Flax does. From a TorchGenerator, jaxinit's initializers draw after the layer, as in torch.
    Other parameters have the numbers of `reset_parameters`. Nothing is drawn twice. In a mesh,
    each array is drawn on the devices that its box names. Flax draws other collections and what
    has no rule, with the drawn parameters in place.

    Args:
        module: the module.
        key: as for `reset_parameters`. Flax's own key for a TorchGenerator is the one of its seed.
        *inputs: as for `module.init`.
        order: as for `reset_parameters`.
        **kwargs: as for `module.init`.

    Raises:
        TypeError: an argument has the wrong type.

    Example:
        >>> variables = jaxinit.linen.init(nn.Dense(256), jax.random.key(0), jnp.zeros((1, 64)))
        >>> round(float(variables["params"]["kernel"].std()), 2)
        0.07
    """
    source, view = as_source(key), LinenModel(module, inputs, kwargs)
    view.warn()
    args, options = linen_trace.concrete((inputs, kwargs))
    rngs = dict(key) if isinstance(key, Mapping) else source.key
    arrays = view.init(source, order, view.given)
    return view.filled(arrays, lambda drawn: linen_trace.init_with(module, drawn, rngs, args, options))


def load(
    module: nn.Module,
    variables: Any,
    state: State,
    *inputs: Any,
    rename: Rename | None = None,
    only: Globs | None = None,
    ignore: Globs | None = None,
    transposed: Globs | None = None,
    strict: bool = True,
    key: Source | None = None,
    **kwargs: Any,
) -> tuple[Any, Matched]:
    """Load torch's weights: transposed, flipped, split and summed as the layers need.

    A torch tensor has the path of the layer and torch's name of the parameter: `conv1.kernel` is
    `conv1.weight`. `blocks_0`, or layer 0 of a stack `blocks`, may be torch's `blocks.0`.

    Args:
        module: the module, with attributes named as in torch.
        variables: as for `reset_parameters`.
        state: torch's `state_dict()`, which is a dict of arrays, or a path, or several paths. A path leads to a
            safetensors file, to the index of a sharded checkpoint, or to a folder with one of these. A file of
            `torch.save` that ends in .bin, .pt, .pth or .ckpt is read by torch with `weights_only=True`. A
            `jaxinit.Recipe` is drawn with `key`.
        *inputs: as for `module.init`.
        rename: what torch's names become: a function, a dict of new names by old ones, or pairs of a regular
            expression and what replaces it. By default no name changes.
        only: a shell pattern or several, of paths of parameters or names of tensors, or functions of a path (a tuple)
            and its array. Nothing else is loaded.
        ignore: the same for what is not loaded.
        transposed: the same for matrices that torch has as (in, out), such as those of Conv1D in transformers.
        strict: whether all must fit. Otherwise the parameters that fit are loaded, and the `problems` of the result
            list what did not.
        key: as for `reset_parameters`, if `state` is a recipe.
        **kwargs: as for `module.init`.

    Returns:
        The variables, and the names of the tensors that each parameter is made of, by its path.

    Raises:
        TypeError: an argument has the wrong type, or a tensor has no values.
        ValueError: tensors are missing, left over, of shapes that do not fit, or with values that the dtype
            of the model cannot hold. The message lists them all, and the variables are unchanged.
            Also if no parameter fits, or a pattern matches nothing.

    Example:
        >>> module, x = nn.Dense(3), jnp.zeros((1, 2))
        >>> variables = module.init(jax.random.key(0), x)
        >>> jaxinit.linen.load(module, variables, {"weight": np.ones((3, 2)), "bias": np.zeros(3)}, x)[1]
        {'kernel': ('weight',), 'bias': ('bias',)}
    """
    view = LinenModel(module, inputs, kwargs, variables=variables)
    state = drawn(state, "key", None if key is None else as_source(key).either)
    arrays, names = view.load(state, rename, strict, only=only, ignore=ignore, transposed=transposed)
    return view.filled(arrays), names


def state_dict(
    module: nn.Module,
    variables: Any,
    *inputs: Any,
    names: Iterable[str] | None = None,
    rename: Rename | None = None,
    transposed: Globs | None = None,
    **kwargs: Any,
) -> dict[str, np.ndarray]:
    """Return the weights as torch has them: its names, its axes, its packed tensors. The inverse of `load`.

    Each array is a copy. torch takes it after `torch.from_numpy`, and safetensors writes it.
    Where torch adds two biases, the first (`bias_ih`) gets the sum and the second is zero.
    Each layer of a stack `blocks` has its own names: `blocks.0`, `blocks.1` and so on.

    Args:
        module: the module, with attributes named as in torch.
        variables: as for `reset_parameters`.
        *inputs: as for `module.init`.
        names: torch's names, such as `list(torch_model.state_dict())`. They decide where several are possible:
            attention in one tensor or in four Linears, `conv_1` or `conv.1`, weight_norm.
        rename: as for `load`, with `names`. It maps torch's names to those of the model, and is undone here.
        transposed: as for `load`.
        **kwargs: as for `module.init`.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: `names` are not those of the tensors of the model, or there is `rename` without `names`.

    Example:
        >>> module, x = nn.Dense(3), jnp.zeros((1, 2))
        >>> state = jaxinit.linen.state_dict(module, module.init(jax.random.key(0), x), x)
        >>> {name: array.shape for name, array in state.items()}
        {'weight': (3, 2), 'bias': (3,)}
    """
    return LinenModel(module, inputs, kwargs, variables=variables).torch_state(names, rename, transposed)

"""The function `jaxinit.describe`."""

from typing import TYPE_CHECKING, Any

from jaxinit.layouts import Layout

if TYPE_CHECKING:
    from jaxinit._descriptions.description import Description


def describe(
    model: Any, module: Any = None, *inputs: Any, layout: Layout | str | None = None, **kwargs: Any
) -> "Description":
    """Return a table of a model's arrays: what each may be drawn from, and whether that is torch's default.

    If `jaxinit.nnx`, `linen` or `equinox` has a rule for the layer, the entries are compared with torch's distribution
    for them. Where they do not agree, or there is no rule, the table names the initializers that chance does not rule
    out. F is the distribution function of the default, and F_n that of n entries. If the entries agree,
    chance exceeds this bound with probability alpha at most::

        max |F_n(x) - F(x)| <= sqrt(log(2 / alpha) / (2 * n))

    Args:
        model: an NNX module, Linen's variables, or an Equinox module or a pair of one and its state. Also any tree of
            arrays, a dict such as torch's `state_dict()`, or the path of a checkpoint that `load` reads.
        module: the Linen module whose variables `model` is. Without it, no rule knows their layers.
        *inputs: as for `module.init`.
        layout: where torch's axes lie in arrays that no rule knows, to read fans off them. The default is
            `jaxinit.TORCH` for Equinox and for a dict with names of torch, and `jaxinit.FLAX` otherwise.
        **kwargs: as for `module.init`.

    Returns:
        A value that prints as a table, in a terminal, with rich and in a notebook. `rows` has the same as data, in
        `path`, `shape`, `dtype`, `mean`, `std`, `low`, `high`, `drawn_from`, `distribution`, `default`, `is_default`,
        `detectable`, `used` and `wrong`. Of an array with more than 2**20 entries, `used` entries are looked at.

    Raises:
        TypeError: `model` holds no arrays, or there are inputs without a module.
        ValueError: two arrays have the same path, or a checkpoint cannot be read.

    Example:
        >>> model = jaxinit.nnx.init(lambda rngs: nnx.Linear(64, 256, rngs=rngs), nnx.Rngs(0))
        >>> model.bias[...] = jnp.zeros(256)
        >>> for row in jaxinit.describe(model).rows:
        ...     print(row.path, row.drawn_from, row.is_default)
        kernel ('kaiming_uniform(a=sqrt(5)), fan_in 64',) True
        bias ('zeros()',) False
    """
    from jaxinit._descriptions.arrays import named_arrays
    from jaxinit._descriptions.description import described
    from jaxinit.layouts import as_layout

    return described(*named_arrays(model, module, inputs, kwargs, None if layout is None else as_layout(layout)))

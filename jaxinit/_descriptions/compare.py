"""The function `jaxinit.compare`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxinit._descriptions.comparison import Comparison
    from jaxinit._models.loading.selection import Globs, Rename


def compare(
    a: Any,
    b: Any,
    module: Any = None,
    *inputs: Any,
    rename: "Rename | None" = None,
    transposed: "Globs | None" = None,
    **kwargs: Any,
) -> "Comparison":
    """Return a table of the parameters of two models: how far their numbers are apart, or else their distributions.

    Beside a model whose layers have rules, torch's tensors and checkpoints are matched as in `load`: by torch's names,
    transposed, split and summed. Any other two are matched by path, where torch's and Flax's names of a parameter, as
    `weight` and `kernel`, are one. F_n and G_m are the distribution functions of n and m entries. If both have one
    distribution, chance exceeds this bound with probability alpha at most::

        max |F_n(x) - G_m(x)| <= sqrt(log(4 / alpha) / (2 * n)) + sqrt(log(4 / alpha) / (2 * m))

    Args:
        a: a model, a tree of arrays or a checkpoint, as for `describe`.
        b: another one.
        module: the Linen module, if `a` or `b` are variables of it.
        *inputs: as for `module.init`.
        rename: what names become, as for `load`: torch's names beside a model, otherwise the names of `b`.
        transposed: as for `load`, if one of the two is matched as `load` matches it.
        **kwargs: as for `module.init`.

    Returns:
        A value that prints as a table. `rows` has the same as data, in `name`, `other`, `shapes`, `dtypes`, `verdict`,
        `difference`, `distance`, `ratio` and what is `detectable`. `missing` has the names that only `a` has,
        `unexpected` those that only `b` has, and `problems` what else does not fit. `equal` says that all parameters
        are equal to the bit, and `same` that no difference of their distributions was found.

    Raises:
        TypeError: `a` or `b` holds no arrays, or `module` does not belong to them.
        ValueError: a checkpoint cannot be read, or an option fits nothing.

    Example:
        >>> model = nnx.Linear(64, 256, rngs=nnx.Rngs(0))
        >>> state = {"weight": np.asarray(model.kernel[...]).T, "bias": np.full(256, 0.5, np.float32)}
        >>> for row in jaxinit.compare(model, state).rows:
        ...     print(row.name, row.other, row.difference, row.verdict)
        kernel weight 0.0 equal
        bias bias 0.5 differs
    """
    from jaxinit._descriptions.comparison import compared
    from jaxinit._descriptions.pairs import paired

    return compared(paired(a, b, module, inputs, kwargs, rename, transposed))

"""Write the tables of docs/reference/models/modules.md to docs/tables: `python docs/scripts/module_table.py`.

- What torch draws comes from `jaxinit._models.torch_modules`.
- What Flax's defaults draw is measured on an example of each layer.
- Modules without a row are found by a search of torch.nn.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import jax
import numpy as np
import torch
from flax import nnx
from scipy import stats

import jaxinit
from jaxinit._initializers.base import Elementwise
from jaxinit._models import torch_modules
from jaxinit._models.correspondence import Layer, Parameter

EXAMPLES = (
    "nnx.Linear(64, 256, rngs=rngs)",
    "nnx.LinearGeneral(64, (8, 32), rngs=rngs)",
    "nnx.Einsum('bd,dhk->bhk', (64, 8, 32), (8, 32), rngs=rngs)",
    "nnx.Conv(16, 32, (3, 3), rngs=rngs)",
    "nnx.ConvTranspose(16, 32, (4, 4), rngs=rngs)",
    "nnx.ConvTranspose(16, 32, (4, 4), transpose_kernel=True, rngs=rngs)",
    "nnx.Embed(1000, 64, rngs=rngs)",
    "nnx.SimpleCell(32, 64, rngs=rngs)",
    "nnx.OptimizedLSTMCell(32, 64, rngs=rngs)",
    "nnx.LSTMCell(32, 64, rngs=rngs)",
    "nnx.GRUCell(32, 64, rngs=rngs)",
    "nnx.MultiHeadAttention(6, 150, decode=False, rngs=rngs)",
    "nnx.BatchNorm(64, rngs=rngs)",
    "nnx.LayerNorm(64, rngs=rngs)",
    "nnx.GroupNorm(64, rngs=rngs)",
    "nnx.InstanceNorm(64, rngs=rngs)",
    "nnx.RMSNorm(64, rngs=rngs)",
    "nnx.PReLU()",
)
WITHOUT_A_ROW = {
    "AdaptiveLogSoftmaxWithLoss": "Flax has no such layer. It is made of Linear, whose row serves its parts",
    "Bilinear": "Flax has no such layer. `jaxinit.defaults.bilinear` has its numbers",
    "RNNBase": "the base class of RNN, LSTM and GRU",
    "RNNCellBase": "the base class of their cells",
    "SyncBatchNorm": "BatchNorm over several devices, in Flax `BatchNorm(axis_name=...)`, whose row serves it",
    "Transformer": "redraws its parts. Use `apply` with `xavier_uniform` for parameters with two axes or more",
}
DRAWS = 16
STANDARD = {
    "uniform": stats.uniform(-(3**0.5), 2 * 3**0.5),
    "normal": stats.norm(),
    "normal cut at 2 sigma": stats.truncnorm(-2, 2, scale=1 / stats.truncnorm(-2, 2).std()),
}
"""Distributions of mean 0 and standard deviation 1 that a default may have."""


def modules_of_torch() -> list[str]:
    """Return the classes of torch.nn that draw parameters of their own."""
    classes = {name: value for name, value in vars(torch.nn).items() if isinstance(value, type)}
    return sorted(
        name
        for name, kind in classes.items()
        if issubclass(kind, torch.nn.Module)
        and (hasattr(kind, "reset_parameters") or hasattr(kind, "_reset_parameters"))
    )


def names(torchs: str) -> Iterator[str]:
    """Yield the classes that the first cell of a row stands for: "Conv1d to Conv3d" is three."""
    for part in torchs.split(", "):
        ends = re.fullmatch(r"(\w+)1d to \w+3d", part)
        yield from (f"{ends[1]}{axes}d" for axes in (1, 2, 3)) if ends else (part,)


def left_out() -> dict[str, str]:
    """Return torch's modules without a row, and why they have none."""
    covered = {name for row in torch_modules.TABLE for name in names(row.torch)}
    rest = [name for name in modules_of_torch() if name not in covered]
    lazy = {name: f"{name.removeprefix('Lazy')}, from its first call on" for name in rest if name.startswith("Lazy")}
    return {name: lazy.get(name) or WITHOUT_A_ROW[name] for name in rest}


def overview() -> Iterator[str]:
    """Yield the table of torch modules and the Flax layers that correspond to them."""
    yield from _head("torch", "NNX", "Linen")
    for torchs, rows in groupby(torch_modules.TABLE, key=lambda row: row.torch):
        found = list(rows)
        cells = (", ".join(f"`{name}`" for name in dict.fromkeys(column) if name) for column in _columns(found))
        yield _row(torchs, *cells)


def _columns(rows: list[torch_modules.Row]) -> tuple[list[str], list[str]]:
    return [row.nnx for row in rows], [row.linen for row in rows]


def example(call: str) -> Iterator[str]:
    """Yield the table of one layer: what torch and Flax draw each parameter from."""
    built = _state(_build(call, jax.random.key(0)))
    shapes = {name: array.shape for name, array in built.items()}
    module = _build(call, jax.random.key(0))
    rule = {row.nnx: row.rule for row in torch_modules.TABLE}[type(module).__name__]
    layer = rule(shapes, module).within(shapes)
    inits, own = layer.initializers(), measured(call)
    yield f"\n### `{call.replace(', rngs=rngs', '')}`\n\ntorch's {layer.torch}.\n"
    yield from _head("parameter", "shape", "torch's tensor", "drawn from", "Flax's own default")
    for parameter in layer.parameters:
        name, shape = parameter.path, shapes[parameter.path]
        yield _row(f"`{name}`", str(shape), tensors(parameter, layer, shapes), drawn(inits[name], shape), own[name])


def tensors(parameter: Parameter, layer: Layer, shapes: Any) -> str:
    """Say in words which torch tensors the parameter is made of: blocks of rows side by side, each a sum."""
    count = {tensor.name: tensor.blocks for tensor in layer.draws}
    torchs = layer.tensor_shapes(shapes)
    parts = []
    for sources, blocks in groupby(parameter.blocks, key=lambda summed: [block.tensor for block in summed]):
        first, *others = [summed[0].part for summed in blocks]
        sum_of = " + ".join(f"`{name}`" for name in sources)
        is_whole = len(others) + 1 == count[sources[0]]
        span = f"{first + 1}" if not others else f"{first + 1} to {others[-1] + 1}"
        parts.append(f"{sum_of} {torchs[sources[0]]}" if is_whole else f"{sum_of}, block {span} of {count[sources[0]]}")
    return ". ".join(parts) + ", flipped" * parameter.is_flipped


def drawn(init: jaxinit.Initializer, shape: tuple[int, ...]) -> str:
    """Say in words what an initializer draws from."""
    if isinstance(init, jaxinit.composed.concatenated):
        parts = groupby(drawn(part, shape) for part in init.inits)
        return ". ".join(f"{len(list(same))} of {len(init.inits)}: {text}" for text, same in parts)
    assert isinstance(init, Elementwise)
    distribution = init.distribution(shape)
    match distribution.kind:
        case "uniform" | "triangular":
            return f"{distribution.kind}, ±{distribution.support[1]:.4g}"
        case "constant":
            return f"{distribution.value:g}"
    return f"{distribution.kind}, std {distribution.std:.4g}"


def measured(call: str) -> dict[str, str]:
    """Return, by many draws, what each parameter is drawn from when Flax builds the layer."""
    keys = jax.random.split(jax.random.key(0), DRAWS)
    # jaxlib 0.10 can deadlock on CPUs when it decomposes stacks of orthogonal matrices, so draws come one by one.
    draws = jax.jit(lambda keys: jax.lax.map(lambda key: _state(_build(call, key)), keys))(keys)
    return {name: recognized(np.asarray(array)) for name, array in draws.items()}


def recognized(stack: np.ndarray) -> str:
    """Return the distribution that several draws of one array come from, among those that layers have."""
    values = stack.ravel().astype(np.float64)
    if values.std() == 0:
        return f"{values[0]:g}"
    if _is_orthogonal(stack.reshape(len(stack), -1, stack.shape[-1])):
        return "orthogonal"
    standard = values[: 2**17] / values.std()
    fits = {name: stats.kstest(standard, shape.cdf).pvalue for name, shape in STANDARD.items()}
    best = max(fits, key=lambda name: fits[name])
    if fits[best] < 1e-9:
        raise LookupError(f"no distribution fits: {fits}")
    return f"{best}, std {values.std():.3g}"


def _is_orthogonal(matrices: np.ndarray) -> bool:
    """Return whether rows or columns are orthonormal, of the whole matrix or of each square block."""
    rows, columns = matrices.shape[1:]
    if rows < 2 or columns % rows:
        return False
    blocks = matrices.reshape(len(matrices), rows, columns // rows, rows).swapaxes(1, 2)
    whole = np.einsum("nij,nkj->nik", matrices, matrices)
    each = np.einsum("nbij,nbkj->nbik", blocks, blocks)
    return any(np.abs(gram - np.eye(rows)).max() < 1e-3 for gram in (whole, each))


def _build(call: str, key: jax.Array) -> nnx.Module:
    module: nnx.Module = eval(call, {"nnx": nnx, "rngs": nnx.Rngs(key)})
    return module


def _state(module: nnx.Module) -> dict[str, jax.Array]:
    state = nnx.state(module, nnx.Any(nnx.Param, nnx.BatchStat))
    return {".".join(map(str, path)): jax.tree.leaves(leaf)[0] for path, leaf in nnx.to_flat_state(state)}


def _head(*cells: str) -> Iterator[str]:
    yield _row(*cells)
    yield _row(*["---"] * len(cells))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def write(folder: Path) -> None:
    """Write the overview, the examples and the modules without a row, each into a file."""
    rest = left_out()
    count = f"torch.nn has {len(modules_of_torch())} classes that draw parameters. These {len(rest)} have no row:\n"
    pages = {
        "overview": overview(),
        "examples": (line for call in EXAMPLES for line in example(call)),
        "left_out": [count, *_head("torch", "why"), *(_row(f"`{name}`", why) for name, why in rest.items())],
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in pages.items():
        (folder / f"{name}.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    write(Path(__file__).parents[1] / "tables")

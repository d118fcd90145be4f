"""The torch modules with parameters that are not checked, and why."""

import inspect
import re

import torch

LEFT_OUT = {
    "AdaptiveLogSoftmaxWithLoss": "no Flax layer; made of Linear layers, which are known",
    "Bilinear": "no Flax layer; the arguments of `jaxinit.defaults.bilinear` are compared in jaxinit's own tests",
    "LinearCrossEntropyLoss": "no Flax layer; a Linear layer and a loss",
    "SyncBatchNorm": "BatchNorm's parameters; Flax synchronises by an axis name",
    "Transformer": "no Flax layer; draws its matrices anew by xavier_uniform, one `jaxinit.nnx.apply` over its layers",
    "TransformerDecoder": "a list of its layers, which are checked",
    "TransformerEncoder": "a list of its layers; part of the whole model",
    "RNNBase": "of RNN, LSTM and GRU, which are checked",
    "RNNCellBase": "of the cells, which are checked",
}
"""The reason for each module. Lazy modules are left out too: they become the modules that are checked."""

_MAKES_PARAMETERS = re.compile(
    r"\bParameter\(|\bLinear\(|MultiheadAttention\(|(En|De)coder\(|(En|De)coderLayer\(|_get_clones\("
)


def left_out(checked: set[str]) -> dict[str, str]:
    """Return the reason for each torch module with parameters that a run left out. Flax is needed for modules alone."""
    if not any(name.startswith("nn.") for name in checked):
        return LEFT_OUT
    from .pairs import LAYERS

    unchecked = {pair.name for pair in LAYERS} - checked
    reason = "left to a run without --quick and --select"
    return LEFT_OUT | {name.removeprefix("nn."): reason for name in sorted(unchecked)}


def with_parameters() -> set[str]:
    """Return the torch modules whose constructors make parameters, or modules with parameters, by their source."""
    own = {name: kind for name, kind in vars(torch.nn).items() if inspect.isclass(kind)}
    modules = {name: kind for name, kind in own.items() if issubclass(kind, torch.nn.Module) and "Lazy" not in name}
    return {name for name, kind in modules.items() if any(map(_makes_parameters, kind.__mro__))}


def _makes_parameters(kind: type) -> bool:
    if kind in (torch.nn.Module, object) or "__init__" not in vars(kind):
        return False
    return _MAKES_PARAMETERS.search(inspect.getsource(vars(kind)["__init__"])) is not None

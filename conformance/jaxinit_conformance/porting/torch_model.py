"""The torch side of a port: how the module is drawn and run."""

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ..reference import torch_init
from .models.model import first_array

Build = Callable[[], torch.nn.Module]


def built(build: Build, seed: int) -> torch.nn.Module:
    """Return the module that `build` makes after `torch.manual_seed(seed)`."""
    if isinstance(build, torch.nn.Module) or not callable(build):
        raise TypeError(f"`torch_build` must be a function that builds the torch module, got {type(build)}")
    with torch_init.seeded(seed):
        module = build()
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"`torch_build` must return a torch.nn.Module, got {type(module)}")
    return module


def state(module: torch.nn.Module) -> dict[str, np.ndarray]:
    """Return the floating tensors of a module by name, wide."""
    found = module.state_dict()
    return {name: tensor.double().numpy() for name, tensor in found.items() if tensor.is_floating_point()}


def parameters(module: torch.nn.Module) -> set[str]:
    """Return the names of the tensors that a port must have: parameters, and statistics of BatchNorm."""
    names = [name for name, _ in module.named_parameters(remove_duplicate=False)]
    return {*names, *(name for name, _ in module.named_buffers() if name.endswith(("running_mean", "running_var")))}


def vary(module: torch.nn.Module, rng: np.random.Generator) -> None:
    """Change tensors that are constant, such as biases of zero. Otherwise an exchange of two would not show."""
    trained = parameters(module)
    with torch.no_grad():
        for name, tensor in module.state_dict(keep_vars=True).items():
            if name in trained and tensor.numel() and bool((tensor == tensor.flatten()[0]).all()):
                tensor += torch.from_numpy(rng.uniform(-0.5, 0.5, tensor.shape)).to(tensor.dtype)


def run(module: torch.nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the output of a module, and the outputs of its modules by name, in the order in which they return."""
    outputs: dict[str, Any] = {}

    def note(name: str, _: Any, __: Any, output: Any) -> None:
        with contextlib.suppress(TypeError):
            outputs[name] = first_array(output).clone()  # the next module may change it in place

    hooks = [each.register_forward_hook(functools.partial(note, name)) for name, each in module.named_modules() if name]
    try:
        output = first_array(module(*map(_tensor, args), **{name: _tensor(array) for name, array in kwargs.items()}))
    finally:
        for hook in hooks:
            hook.remove()
    return output, outputs


class Casts(TorchDispatchMode):
    """Note whether an operation makes floating tensors that are not float64."""

    found = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor) and made.is_floating_point() and made.dtype != torch.float64:
            self.found = True
        return made


def _tensor(array: Any) -> Any:
    return torch.from_numpy(np.array(array)) if isinstance(array, np.ndarray) else array

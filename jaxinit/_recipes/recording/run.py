"""Run a constructor under a recorder, and find the parameters of the model that it returns."""

import contextlib
import dataclasses
import pickle
import random
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch

from jaxinit._recipes.nodes import Data, Node, needed, renumbered
from jaxinit._recipes.parameter import Entry, Kind
from jaxinit._recipes.recording import torch_calls
from jaxinit._recipes.recording.recorder import Recorder
from jaxinit._recipes.recording.values import NotRecorded, constant_data


def run(build: Callable[[], Any]) -> tuple[list[Node], list[Entry]]:
    """Return the nodes of a constructor, and the entries of its model.

    A constructor that draws from Python's or NumPy's generator runs again. What differs then is an unknown node.
    """
    before = _host_states()
    nodes, entries = _recorded(build)
    if before == _host_states():
        return nodes, entries
    try:
        return _without_host_draws(nodes, entries, *_recorded(build))
    finally:
        random.setstate(before[0])
        np.random.set_state(pickle.loads(before[1]))  # noqa: NPY002  # the generator that a constructor may use


def _host_states() -> tuple[Any, bytes]:
    return random.getstate(), pickle.dumps(np.random.get_state())  # noqa: NPY002


def _without_host_draws(
    nodes: list[Node], entries: list[Entry], others: list[Node], again: list[Entry]
) -> tuple[list[Node], list[Entry]]:
    """Return the nodes and entries of a recording, with an unknown node for each entry that another one has otherwise.

    Raises:
        NotRecorded: the two recordings are of different models.
    """
    if [entry.name for entry in entries] != [entry.name for entry in again]:
        raise NotRecorded("`build` must return the same model each time. Its parameters depend on random numbers")
    nodes, found = list(nodes), []
    for entry, other in zip(entries, again, strict=True):
        if _alone(nodes, entry) != _alone(others, other):
            node = nodes[entry.node]
            reason = "numbers that Python's or NumPy's generator draws"
            entry = dataclasses.replace(entry, node=len(nodes))
            nodes.append(Node("unknown", (reason,), node.shape, node.dtype))
        found.append(entry)
    return nodes, found


def _alone(nodes: list[Node], entry: Entry) -> tuple[Node, ...]:
    return renumbered(nodes, sorted(needed(nodes, entry.node)))


def _recorded(build: Callable[[], Any]) -> tuple[list[Node], list[Entry]]:
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        stack.enter_context(warnings.catch_warnings())
        # torch looks at the address of a fake tensor when it copies a module.
        warnings.filterwarnings("ignore", message="Accessing the data pointer of FakeTensor")
        recorder = Recorder()
        stack.enter_context(torch_calls.noted(recorder.note))
        stack.enter_context(torch_calls.data_may_be_set())
        with recorder:
            model = _built(build)
        recorder.draws.require_one_stream(lambda: "`build` returned")
    entries: list[Entry] = []
    owners: dict[int, str] = {}
    for name, aliases, tensor, kind, module in _tensors(model):
        entries.append(
            Entry(name, recorder.values.value(tensor), kind, type(module).__name__, _torch_class(module), aliases)
        )
        for index in recorder.values.draws_to(tensor):
            owners.setdefault(index, name)
    nodes = [
        dataclasses.replace(node, target=owners[index]) if index in owners else node
        for index, node in enumerate(recorder.values.nodes)
    ]
    return nodes, entries


def values(build: Callable[[], Any], names: Iterable[str]) -> dict[str, Data]:
    """Return the values that parameters have in one run of the constructor on the CPU."""
    with torch.random.fork_rng(devices=[]):
        model = _built(build)
    tensors = {name: tensor for name, _, tensor, _, _ in _tensors(model)}
    return {name: constant_data(tensors[name]) for name in names}


def _built(build: Callable[[], Any]) -> torch.nn.Module:
    if isinstance(build, torch.nn.Module):
        raise TypeError(f"`build` must be a function that returns a torch module, got the module {build}")
    model = build()
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"`build` must return a torch.nn.Module, got {type(model)}")
    return model


Found = tuple[str, tuple[str, ...], torch.Tensor, Kind, torch.nn.Module]


def _tensors(model: torch.nn.Module) -> Iterator[Found]:
    """Yield the parameters and buffers, each once, in the order of `state_dict`."""
    names: dict[int, list[str]] = {}
    found: dict[int, tuple[torch.Tensor, Kind, torch.nn.Module]] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        own = module.state_dict(keep_vars=True)
        direct = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        for name, tensor in direct:
            kind: Kind = "parameter" if isinstance(tensor, torch.nn.Parameter) else "buffer"
            if name not in own:
                kind = "computed buffer"
            found.setdefault(id(tensor), (tensor, kind, module))
            names.setdefault(id(tensor), []).append(f"{path}.{name}" if path else name)
    for key, (tensor, kind, module) in found.items():
        first, *others = names[key]
        if tensor.device.type != "cpu":
            raise ValueError(f"`build` must build the model on the CPU, got {first} on {tensor.device}")
        yield first, tuple(others), tensor, kind, module


def _torch_class(module: torch.nn.Module) -> str:
    """Return the nearest class of `torch.nn` that a module is of or derives from."""
    names = (each.__name__ for each in type(module).__mro__ if each.__module__.startswith("torch.nn."))
    return next(names, "Module")

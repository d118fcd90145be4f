"""Forward hooks for models of NNX and Equinox."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flax import nnx

Note = Callable[[str, nnx.Module, Any], None]
"""Called with the path of a module, joined with dots, the module, and the output of a call of it."""


@contextlib.contextmanager
def hooked(modules: Iterable[tuple[str, Any]], hook: Callable[[str, Any, Any], Any]) -> Iterator[None]:
    """Return from each call of one of the modules what `hook` returns for its path, itself and its output.

    Neither framework has forward hooks (flax 0.12, equinox 0.13). So `__call__` of the classes is replaced for as long.
    """
    known = list(modules)
    paths = {id(module): path for path, module in known}
    kinds = {type(module): type(module).__call__ for _, module in known if callable(module)}

    def hooking(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(module: Any, *args: Any, **kwargs: Any) -> Any:
            output = call(module, *args, **kwargs)
            return hook(paths[id(module)], module, output) if id(module) in paths else output

        return called

    with contextlib.ExitStack() as stack:
        for kind, call in kinds.items():
            own = vars(kind).get("__call__")
            stack.callback(*((setattr, kind, "__call__", own) if own else (delattr, kind, "__call__")))
            kind.__call__ = hooking(call)
        yield


@contextlib.contextmanager
def noted(model: nnx.Module, note: Note) -> Iterator[None]:
    """Call `note` after each call of a module of the model. The path of the model itself is empty."""

    def hook(path: str, module: nnx.Module, output: Any) -> Any:
        note(path, module, output)
        return output

    modules = ((path, each) for path, each in nnx.iter_graph(model) if isinstance(each, nnx.Module))
    with hooked(((".".join(map(str, path)), each) for path, each in modules), hook):
        yield

"""Forward hooks for NNX models."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from flax import nnx

Note = Callable[[str, nnx.Module, Any], None]
"""Called with the path of a module, joined with dots, the module, and the output of a call of it."""


@contextlib.contextmanager
def noted(model: nnx.Module, note: Note) -> Iterator[None]:
    """Call `note` after each call of a module of the model. The path of the model itself is empty.

    NNX has no forward hooks (flax 0.12), so `__call__` of the classes is replaced for as long.
    """
    modules = [(path, each) for path, each in nnx.iter_graph(model) if isinstance(each, nnx.Module)]
    paths = {id(each): ".".join(map(str, path)) for path, each in modules}
    kinds = {type(each): type(each).__call__ for _, each in modules if callable(each)}

    def noting(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(module: Any, *args: Any, **kwargs: Any) -> Any:
            output = call(module, *args, **kwargs)
            if id(module) in paths:
                note(paths[id(module)], module, output)
            return output

        return called

    with contextlib.ExitStack() as stack:
        for kind, call in kinds.items():
            own = vars(kind).get("__call__")
            stack.callback(*((setattr, kind, "__call__", own) if own else (delattr, kind, "__call__")))
            kind.__call__ = noting(call)  # type: ignore[method-assign]  # in place of a hook
        yield

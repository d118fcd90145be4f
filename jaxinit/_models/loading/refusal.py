"""Say why a state does not fit a model, and which line mends it."""

from collections.abc import Iterable, Iterator

from jaxinit._models.loading.names import candidate_names, parameter_names
from jaxinit._models.loading.state_dict import Loading
from jaxinit._models.loading.target import Target
from jaxinit._models.matching import LayerMatch


def refusal(target: Target, loading: Loading, advice: str) -> str:
    """Return the message of an error, with the lines that remove a prefix or transpose tensors, and more advice."""
    lines = ["`state` does not fit the model, which is unchanged:", *loading.problems]
    expected = list(_expected(target))
    found = {prefix: sum(prefix + name in loading.state for name in expected) for prefix in _prefixes(loading.state)}
    prefix = max(found, key=lambda prefix: found[prefix])
    if prefix:
        lines.append(
            f"Every name in `state` has the prefix {prefix!r}. "
            f'Remove it with: rename=lambda name: name.removeprefix("{prefix}")'
        )
    if loading.transposed:
        lines.append(
            f"Tensors that fit if transposed, as Conv1D of transformers holds them: {', '.join(loading.transposed)}. "
            f"Square tensors fit both ways: {', '.join(loading.square) or 'none'}. "
            f"Name all that are transposed with: transposed=[...]"
        )
    return "\n".join([*lines, advice] if advice else lines)


def _expected(target: Target) -> Iterator[str]:
    """Yield all names that torch may have for what is in the model."""
    for match in target.matches:
        for each in (match, *match.apart) if isinstance(match, LayerMatch) else ():
            for prefix, suffix in candidate_names(each.node.path):
                yield from (f"{prefix}.{tensor.name}{suffix}".removeprefix(".") for tensor in each.layer.draws)
    for path in target.parameters:
        yield from parameter_names(path, target.leaves[path].shape)


def _prefixes(state: Iterable[str]) -> Iterator[str]:
    """Yield the prefixes that all names have, the shortest first: none, `module.`, `module.model.` and so on."""
    first, *others = [name.split(".")[:-1] for name in state] or [[]]
    for end in range(len(first) + 1):
        if all(other[:end] == first[:end] for other in others):
            yield ".".join((*first[:end], "")) if end else ""

"""What torch's tensors are loaded into: the layers and arrays of a model, and the names that torch has for them."""

import dataclasses
import operator
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

from jaxinit._models.loading.names import Item, candidate_names, parameter_names, plain_first
from jaxinit._models.matching import LayerMatch, Leaves, Match, Path, dotted


@dataclasses.dataclass(frozen=True)
class Target:
    """Represent what is loaded into: the layers of a model, its parameters without a rule, and the arrays of both.

    A `shared` module has two paths. torch names its tensors by both.
    """

    matches: Sequence[Match]
    unmatched: Sequence[Path]
    leaves: Leaves
    shared: Sequence[tuple[Path, Path]] = ()
    buffers: Sequence[Path] = ()
    """Other arrays, such as a codebook. A state may have them or not."""
    scales: Mapping[Path, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    """The shape that each scale of a WeightNorm has in torch, which tells the axis of the weight."""
    has_torchs_names: bool = False
    """Whether paths are torch's names, if nothing speaks for another spelling."""
    has_lists: bool = False
    """Whether `ln_1` is a name of its own, and not entry 1 of a list `ln`, unless torch's names say so."""

    def layers(self, names: Container[str]) -> Iterator[tuple[LayerMatch, dict[str, str]]]:
        """Yield the layers that torch has, as its names show, with the full names of their tensors."""
        for match in self.matches:
            if isinstance(match, LayerMatch):
                whole, *apart = [(each, self._full_names(each, names)) for each in (match, *match.apart)]
                found = sum(name in names for _, own in apart for name in own.values())
                is_apart = found > sum(name in names for name in whole[1].values())
                yield from apart if is_apart else [whole]

    def _full_names(self, match: LayerMatch, state: Container[str]) -> dict[str, str]:
        """Return torch's full names of a layer's tensors, by the candidate that the state has most tensors of."""
        own = [(dotted(match.node.path), "")] if self.has_torchs_names else []
        others = self._ordered(match.node.path, candidate_names(match.node.path), operator.itemgetter(0))
        candidates = [
            {tensor.name: f"{prefix}.{tensor.name}{suffix}".removeprefix(".") for tensor in match.layer.draws}
            for prefix, suffix in (*own, *others)
        ]
        return max(candidates, key=lambda names: sum(name in state for name in names.values()))

    def spelled(self, path: Path) -> list[str]:
        """Return the names that torch may have for a parameter, the likeliest first."""
        others = self._ordered(path, parameter_names(path, self.leaves[path].shape), str)
        return [*([dotted(path)] if self.has_torchs_names else []), *others]

    def _ordered(self, path: Path, names: Iterable[Item], prefix: Callable[[Item], str]) -> Iterable[Item]:
        return plain_first(path, names, prefix) if self.has_lists else names

    @property
    def parameters(self) -> Iterator[Path]:
        """Return the parameters that torch has no layer for. So they have the same names and axes in torch."""
        in_layers = {path for match in self.matches if isinstance(match, LayerMatch) for path in match.paths}
        others = dict.fromkeys(path for match in self.matches for path in match.paths)
        yield from (*self.unmatched, *(path for path in others if path not in in_layers))

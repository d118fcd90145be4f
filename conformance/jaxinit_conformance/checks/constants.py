"""Claims about initializers without chance: the array is torch's."""

from collections.abc import Iterator

from ..axes import to_torch
from ..reference import torch_init
from .check import PlannedCheck, Result, Sample, exact


def constants(sample: Sample) -> Iterator[PlannedCheck]:
    """Nothing is random: the array is torch's, element for element."""
    yield exact(sample.case.initializer, "equal to torch", sample.case.label, lambda: _equal_to_torch(sample))


def _equal_to_torch(sample: Sample) -> Result:
    case = sample.case
    ours = to_torch(sample.arrays(1)[0], case.axes)
    theirs = torch_init.fill(case.initializer, case.keywords, case.torch_shape, case.dtype)
    different = int((ours != theirs).sum())
    return Result(different == 0, f"{different} different", f"0 of {ours.size} different")

"""Claims about initializers without chance: the array is equal to torch's."""

from collections.abc import Iterator

from ..axes import to_torch
from ..reference import torch_init
from .check import PlannedCheck, Result, Sample, exact


def checks(sample: Sample) -> Iterator[PlannedCheck]:
    """Yield the check of a case: every element is torch's."""
    yield exact(sample.case.initializer, "equal to torch", sample.case.label, lambda: _equal_to_torch(sample))


def _equal_to_torch(sample: Sample) -> Result:
    case = sample.case
    drawn = to_torch(sample.arrays(1)[0], case.axes)
    filled = torch_init.fill(case.initializer, case.keywords, case.torch_shape, case.dtype)
    different = int((drawn != filled).sum())
    return Result(different == 0, f"{different} different", f"0 of {drawn.size} different")

"""Claims about `defaults`: keyword arguments for layers that are built one by one."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch

from ..checks.check import PlannedCheck, Result, equal, exact
from ..reference import torch_init, torch_modules
from ..reference.torch_modules import Recorded
from .claims import stated
from .parts import Part, expected


class Call:
    """Of a function of `defaults`."""

    def __init__(self, function: str, *arguments: Any, **options: Any) -> None:
        self.function, self.arguments, self.options = function, arguments, options

    def __str__(self) -> str:
        given = [*map(repr, self.arguments), *(f"{name}={value!r}" for name, value in self.options.items())]
        return f"defaults.{self.function}({', '.join(given)})"

    def __call__(self, defaults: Any) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(defaults, self.function)(*self.arguments, **self.options)
        return answer


@dataclasses.dataclass(frozen=True)
class Keywords:
    """A call, and torch's module: which keyword draws which tensors."""

    module: str
    call: Call
    theirs: Callable[[], torch.nn.Module]
    parts: tuple[Part, ...]
    quick: bool = False


def _part(keyword: str, shape: tuple[int, ...], *sources: str, start: int = 0, stop: int | None = None) -> Part:
    return Part(keyword, shape, start, stop or (shape[-1] if shape else 1), sources)


def _affine(kernel: tuple[int, ...], bias: int) -> tuple[Part, Part]:
    return _part("kernel_init", kernel, "weight"), _part("bias_init", (bias,), "bias")


def _recurrent(state: int) -> tuple[Part, Part]:
    return (
        _part("kernel_init", (24, 96), "weight_ih_l0"),
        _part("recurrent_kernel_init", (state, 96), "weight_hh_l0"),
    )


_SUMMED = _part("bias_init", (96,), "bias_ih_l0", "bias_hh_l0")
_NORM = _part("scale_init", (24,), "weight"), _part("bias_init", (24,), "bias")
# Flax's attention asks for its kernels as matrices, and gives them heads afterwards.
_OUT = _part("out_kernel_init", (48, 48), "out_proj.weight"), _part("out_bias_init", (48,), "out_proj.bias")

CASES = (
    Keywords("nn.Linear", Call("linear", 24), lambda: torch.nn.Linear(24, 96), _affine((24, 96), 96), quick=True),
    Keywords(
        "nn.Bilinear", Call("bilinear", 20), lambda: torch.nn.Bilinear(20, 8, 5), _affine((5, 20, 8), 5), quick=True
    ),
    Keywords("nn.Conv1d", Call("conv", 12, 5), lambda: torch.nn.Conv1d(12, 96, 5), _affine((5, 12, 96), 96)),
    Keywords(
        "nn.Conv2d",
        Call("conv", 48, (5, 3), groups=4),
        lambda: torch.nn.Conv2d(48, 96, (5, 3), groups=4),
        _affine((5, 3, 12, 96), 96),
        quick=True,
    ),
    Keywords(
        "nn.ConvTranspose2d",
        Call("conv_transpose", 96, (5, 3), groups=4),
        lambda: torch.nn.ConvTranspose2d(48, 96, (5, 3), groups=4),
        _affine((5, 3, 48, 24), 96),
        quick=True,
    ),
    Keywords(
        "nn.ConvTranspose3d",
        Call("conv_transpose", 96, (5, 3, 2), transpose_kernel=True),
        lambda: torch.nn.ConvTranspose3d(12, 96, (5, 3, 2)),
        _affine((5, 3, 2, 96, 12), 96),
    ),
    Keywords(
        "nn.Embedding",
        Call("embedding", padding_idx=7),
        lambda: torch.nn.Embedding(60, 24, padding_idx=7),
        (_part("embedding_init", (60, 24), "weight"),),
        quick=True,
    ),
    Keywords(
        "nn.EmbeddingBag",
        Call("embedding"),
        lambda: torch.nn.EmbeddingBag(60, 24),
        (_part("embedding_init", (60, 24), "weight"),),
    ),
    Keywords("nn.RNN", Call("rnn", 96), lambda: torch.nn.RNN(24, 96), (*_recurrent(96), _SUMMED)),
    Keywords("nn.LSTM", Call("lstm", 24), lambda: torch.nn.LSTM(24, 24), (*_recurrent(24), _SUMMED), quick=True),
    Keywords(
        "nn.GRU",
        Call("gru", 32),
        lambda: torch.nn.GRU(24, 32),
        (
            *_recurrent(32),
            dataclasses.replace(_SUMMED, stop=64),
            _part("bias_init", (96,), "bias_ih_l0", start=64),
        ),
        quick=True,
    ),
    Keywords(
        "nn.MultiheadAttention",
        Call("multihead_attention", 48),
        lambda: torch.nn.MultiheadAttention(48, 4),
        (_part("kernel_init", (48, 48), "in_proj_weight"), _part("bias_init", (48,), "in_proj_bias"), *_OUT),
        quick=True,
    ),
    Keywords(
        "nn.MultiheadAttention",
        Call("multihead_attention", 48, kdim=40, vdim=36),
        lambda: torch.nn.MultiheadAttention(48, 4, kdim=40, vdim=36),
        (
            _part("kernel_init", (48, 48), "q_proj_weight"),
            _part("kernel_init", (40, 48), "k_proj_weight"),
            _part("kernel_init", (36, 48), "v_proj_weight"),
            _part("bias_init", (48,), "in_proj_bias"),
            *_OUT,
        ),
    ),
    Keywords("nn.BatchNorm2d", Call("batch_norm"), lambda: torch.nn.BatchNorm2d(24), _NORM),
    Keywords("nn.LayerNorm", Call("layer_norm"), lambda: torch.nn.LayerNorm(24), _NORM),
    Keywords("nn.GroupNorm", Call("group_norm"), lambda: torch.nn.GroupNorm(4, 24), _NORM),
    Keywords("nn.InstanceNorm2d", Call("instance_norm"), lambda: torch.nn.InstanceNorm2d(24, affine=True), _NORM),
    Keywords("nn.RMSNorm", Call("rms_norm"), lambda: torch.nn.RMSNorm(24), _NORM[:1]),
    Keywords("nn.PReLU", Call("prelu"), torch.nn.PReLU, (_part("negative_slope_init", (), "weight"),)),
)


def checks(defaults: Any, quick: bool) -> Iterator[PlannedCheck]:
    """Every call of a run: names of the keywords, and what each initializer states of itself."""
    for case in CASES:
        if case.quick or not quick:
            yield exact(case.module, "defaults", str(case.call), functools.partial(_judged, case, defaults))


def _judged(case: Keywords, defaults: Any) -> Result:
    given = case.call(defaults)
    if set(given) != {part.path for part in case.parts}:
        return equal(sorted(given), sorted({part.path for part in case.parts}))
    with torch_init.seeded(0):
        tensors = torch_modules.record(case.theirs)[1]
    pairs = {}
    for part in case.parts:
        init, wrong = _whole(given[part.path], tensors[part.sources[0]])
        if wrong:
            return Result(False, f"{part.path}: {wrong}", "torch's entries that are set apart")
        pairs[part] = init, expected(part, tensors)
    return stated(pairs)


def _whole(init: Any, tensor: Recorded) -> tuple[Any, str]:
    """The initializer of all entries but those that torch sets apart, and what is wrong with those."""
    theirs = [(call.start, call.size, call.expected.loc) for call in tensor.exceptions]
    if not hasattr(init, "row"):
        return init, f"{theirs} missing" if theirs else ""
    size = tensor.shape[-1]
    ours = [(init.row * size, size, 0.0)]
    return init.init, f"{ours}, torch's are {theirs}" if ours != theirs else ""

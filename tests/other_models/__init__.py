"""Models that others wrote. `make other-models` installs their packages and runs these tests."""

import importlib.util
import warnings
from pathlib import Path

import torch


def declare_operators_of_torchvision() -> None:
    """Declare what importing torchvision needs, if its operators do not load.

    The package index has torchvision for CUDA alone. Beside torch for CPUs, its import fails for want of two operators.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return
    try:
        torch.ops.load_library(Path(spec.origin).parent / "_C.so")
    except OSError:
        for name in ("nms", "qnms"):
            _LIBRARY.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


_LIBRARY = torch.library.Library("torchvision", "FRAGMENT")  # the operators are gone when it is
declare_operators_of_torchvision()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import timm as timm
    import torchvision as torchvision
    import transformers as transformers

transformers.logging.set_verbosity_error()

"""The defaults of torch's norms, and of PReLU."""

from jaxinit._initializers.elementwise import ones, zeros
from jaxinit.defaults.keywords import Norm, Scale, Slope


def batch_norm() -> Norm:
    """Return the initializers of torch.nn.BatchNorm1d to BatchNorm3d::

        scale = 1,  bias = 0

    Returns:
        `scale_init` and `bias_init`, for Flax's BatchNorm. Its statistics start as torch's.

    Example:
        >>> jaxinit.defaults.batch_norm()
        {'scale_init': jaxinit.ones(), 'bias_init': jaxinit.zeros()}
    """
    return {"scale_init": ones(), "bias_init": zeros()}


def layer_norm() -> Norm:
    """Return the initializers of torch.nn.LayerNorm::

        scale = 1,  bias = 0

    Returns:
        `scale_init` and `bias_init`, for Flax's LayerNorm.

    Example:
        >>> sorted(jaxinit.defaults.layer_norm())
        ['bias_init', 'scale_init']
    """
    return batch_norm()


def group_norm() -> Norm:
    """Return the initializers of torch.nn.GroupNorm::

        scale = 1,  bias = 0

    Returns:
        `scale_init` and `bias_init`, for Flax's GroupNorm.

    Example:
        >>> sorted(jaxinit.defaults.group_norm())
        ['bias_init', 'scale_init']
    """
    return batch_norm()


def instance_norm() -> Norm:
    """Return the initializers of torch.nn.InstanceNorm1d to InstanceNorm3d with `affine=True`::

        scale = 1,  bias = 0

    Returns:
        `scale_init` and `bias_init`, for Flax's InstanceNorm.

    Example:
        >>> sorted(jaxinit.defaults.instance_norm())
        ['bias_init', 'scale_init']
    """
    return batch_norm()


def rms_norm() -> Scale:
    """Return the initializer of torch.nn.RMSNorm::

        scale = 1

    Returns:
        `scale_init`, for Flax's RMSNorm.

    Example:
        >>> jaxinit.defaults.rms_norm()
        {'scale_init': jaxinit.ones()}
    """
    return {"scale_init": ones()}


def prelu() -> Slope:
    """Return the initializer of torch.nn.PReLU::

        slope = 0.25

    Returns:
        `negative_slope_init`, a number, for Flax's PReLU.

    Example:
        >>> jaxinit.defaults.prelu()
        {'negative_slope_init': 0.25}

    Differs from Flax, whose slope is 0.01.
    """
    return {"negative_slope_init": 0.25}

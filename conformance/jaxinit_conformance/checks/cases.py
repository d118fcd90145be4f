"""The cases: which initializer, with which arguments, for which arrays.

Shapes are asymmetric, so that exchanged axes change the fans. Axes are written as in
`jaxinit_conformance.axes`. A fine case makes every check, and detects the smallest deviations.
The other cases vary arguments, layouts and dtypes, and make the checks that those could break.
"""

import dataclasses
from typing import Any

from ..axes import is_flax, torch_shape


@dataclasses.dataclass(frozen=True)
class Case:
    """Represent one initializer, its arguments in torch's names, and the array that it fills."""

    initializer: str
    shape: tuple[int, ...]
    axes: str = "io"
    dtype: str = "float32"
    arguments: tuple[tuple[str, Any], ...] = ()
    fine: bool = False
    quick: bool = False

    @property
    def keywords(self) -> dict[str, Any]:
        return dict(self.arguments)

    def choice(self, pair: tuple[float, float]) -> float:
        """Return the first of two values for a fine case, else the second."""
        return pair[0 if self.fine else 1]

    @property
    def torch_shape(self) -> tuple[int, ...]:
        return torch_shape(self.shape, self.axes)

    @property
    def label(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.arguments)
        array = f"{self.axes} {'x'.join(map(str, self.shape))} {self.dtype}"
        return f"{given}; {array}" if given else array


def case(initializer: str, shape: tuple[int, ...], axes: str = "io", /, **options: Any) -> Case:
    """Return a case, with its arguments and its options (dtype, fine, quick) given together."""
    own = {name: options.pop(name) for name in ("dtype", "fine", "quick") if name in options}
    return Case(initializer, shape, axes, arguments=tuple(options.items()), **own)


DENSE = (96, 144), "io"
CONV = (3, 5, 24, 40), "xyio"
GROUPED = (5, 3, 4, 96), "xyio"
LAYOUTS = (
    ((3, 5, 24, 40), "xyoi"),  # Flax ConvTranspose: axis 0 in torch holds the inputs
    ((4, 48, 80), "bio"),
    ((40, 24, 3), "oix"),
    ((3, 2, 4, 20, 28), "bxyio"),
    ((48, 6, 20), "ioo"),
    ((6, 12, 56), "iio"),
    ((7, 16, 56), "xio"),
    ((2, 3, 4, 12, 28), "xyzio"),
)
FAN_SCHEMES = ("xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal")
LOW_PRECISION = ("bfloat16", "float16")

ELEMENTWISE = (
    case("uniform", *DENSE, fine=True, quick=True),
    case("uniform", *DENSE, a=-0.1, b=0.3, quick=True),
    case("uniform", *CONV, a=2.0, b=5.0),
    case("normal", *DENSE, fine=True, quick=True),
    case("normal", *DENSE, mean=0.3, std=0.02, quick=True),
    case("trunc_normal", *DENSE, fine=True, quick=True),
    case("trunc_normal", *DENSE, std=0.02, a=-0.04, b=0.04, quick=True),
    case("trunc_normal", *DENSE, std=0.02),
    case("trunc_normal", *DENSE, a=-0.5, b=3.0),
    case("trunc_normal", *DENSE, a=8.0, b=9.0, quick=True),
    case("trunc_normal", *DENSE, a=-13.0, b=-12.0),
    case("trunc_normal", *DENSE, a=1.0, b=1.01),
    case("trunc_normal", *DENSE, mean=1.0, std=2.0, a=-1000.0, b=1000.0),
    case("xavier_uniform", *CONV, fine=True, quick=True),
    case("xavier_uniform", *DENSE, gain=5 / 3),
    case("xavier_normal", *CONV, fine=True, quick=True),
    case("xavier_normal", *DENSE, gain=0.5),
    case("kaiming_uniform", *CONV, fine=True, quick=True),
    case("kaiming_uniform", *CONV, a=5**0.5, quick=True),
    case("kaiming_uniform", *DENSE, mode="fan_out", nonlinearity="relu", quick=True),
    case("kaiming_uniform", *DENSE, nonlinearity="tanh"),
    case("kaiming_normal", *CONV, fine=True, quick=True),
    case("kaiming_normal", *CONV, mode="fan_out", nonlinearity="relu", quick=True),
    case("kaiming_normal", *DENSE, a=0.1, mode="fan_out"),
    case("kaiming_normal", *DENSE, nonlinearity="selu"),
    *(case(scheme, *GROUPED) for scheme in FAN_SCHEMES),
    *(case(scheme, *array, quick=array in LAYOUTS[:2]) for scheme in FAN_SCHEMES for array in LAYOUTS),
    *(
        case(scheme, *DENSE, dtype=dtype, quick=dtype == "bfloat16")
        for scheme in ("uniform", "normal", "trunc_normal", "kaiming_uniform", "kaiming_normal")
        for dtype in LOW_PRECISION
    ),
    *(case(scheme, *DENSE, dtype="float64") for scheme in ("uniform", "normal", "trunc_normal")),
)

EXACT = (
    *(case("zeros", *CONV, dtype=dtype, quick=dtype == "float32") for dtype in ("float32", "bfloat16", "int32")),
    *(case("ones", *CONV, dtype=dtype, quick=dtype == "float32") for dtype in ("float32", "bfloat16", "int32")),
    *(case("constant", *CONV, val=0.3, dtype=dtype, quick=True) for dtype in ("float32", "bfloat16", "float64")),
    case("eye", (5, 7), "io", quick=True),
    case("eye", (7, 5), "io", dtype="bfloat16"),
    case("eye", (5, 7), "oi"),
    case("eye", (3, 5, 7), "bio"),
    case("eye", (6, 2, 4), "ioo"),
    case("dirac", (3, 4, 8), "xio", quick=True),
    case("dirac", (3, 4, 5, 7), "xyio", quick=True),
    case("dirac", (4, 3, 2, 6), "xyio", groups=2, quick=True),
    case("dirac", (2, 3, 5, 2, 9), "xyzio", groups=3, dtype="bfloat16"),
    case("dirac", (3, 4, 6, 5), "xyoi"),
    case("dirac", (3, 3, 4, 6), "bxio"),
)

ORTHOGONAL = (
    case("orthogonal", (96, 40), "io", quick=True),
    case("orthogonal", (40, 96), "io", gain=2.0),
    case("orthogonal", (3, 3, 8, 48), "xyio", quick=True),
    case("orthogonal", (3, 3, 8, 48), "xyoi"),
    case("orthogonal", (4, 24, 40), "bio", quick=True),
    case("orthogonal", (96, 40), "io", dtype="float64"),
)
HAAR = (
    case("orthogonal", (3, 3), "io", quick=True),
    case("orthogonal", (5, 3), "io"),
    case("orthogonal", (2, 2, 3), "xio"),
)

SPARSE = (
    case("sparse", (96, 43), "io", sparsity=0.1, quick=True),
    case("sparse", (40, 97), "io", sparsity=0.5, std=0.2),
    case("sparse", (40, 25), "oi", sparsity=0.31),
    case("sparse", (4, 24, 40), "bio", sparsity=0.2),
)


def everything(quick: bool, knows_layouts: bool) -> dict[str, tuple[Case, ...]]:
    """Return the cases by the kind of check. Without layouts only Flax kernels are left."""
    kinds = {"elementwise": ELEMENTWISE, "exact": EXACT, "orthogonal": ORTHOGONAL, "haar": HAAR, "sparse": SPARSE}

    def kept(one: Case) -> bool:
        return (one.quick or not quick) and (knows_layouts or is_flax(one.axes))

    return {kind: tuple(filter(kept, cases)) for kind, cases in kinds.items()}

"""Small torch models, one for each kind of thing that a constructor does to its parameters."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.init import trunc_normal_ as imported_by_name

Build = Callable[[], nn.Module]
MODELS: dict[str, Build] = {}


def model(fill: Callable[[nn.Module], None]) -> Callable[[nn.Module], None]:
    """Register the model whose parameters a function sets on an empty module."""

    def build() -> nn.Module:
        module = nn.Module()
        fill(module)
        return module

    MODELS[fill.__name__] = build
    return fill


@contextmanager
def changed(*tensors: Tensor) -> Iterator[None]:
    with torch.no_grad():
        yield


@model
def layers(m: nn.Module) -> None:
    m.linear, m.conv, m.back = nn.Linear(20, 30), nn.Conv2d(4, 8, 3, groups=2), nn.ConvTranspose2d(3, 6, 3)
    m.norm, m.batch, m.lstm = nn.LayerNorm((3, 4)), nn.BatchNorm2d(5), nn.LSTM(4, 8, num_layers=2, bidirectional=True)
    m.bilinear, m.attention, m.prelu = nn.Bilinear(3, 4, 5), nn.MultiheadAttention(16, 2), nn.PReLU()


@model
def every_function(m: nn.Module) -> None:
    shape = 6, 4
    m.uniform = nn.init.uniform_(nn.Parameter(torch.empty(shape)), -1, 2)
    m.normal = nn.init.normal_(nn.Parameter(torch.empty(shape)), 1.0, 0.5)
    m.trunc_normal = nn.init.trunc_normal_(nn.Parameter(torch.empty(shape)), std=0.02)
    # Few, as torch accepts others where its logarithm rounds otherwise: on AMD twice in 1e9 decisions.
    m.far = imported_by_name(nn.Parameter(torch.empty(3, 2)), 0.0, 1.0, 2.0, 3.0)
    m.constant = nn.init.constant_(nn.Parameter(torch.empty(shape)), 0.3)
    m.ones, m.zeros = nn.init.ones_(nn.Parameter(torch.empty(3))), nn.init.zeros_(nn.Parameter(torch.empty(3)))
    m.eye, m.dirac = nn.init.eye_(nn.Parameter(torch.empty(shape))), nn.Parameter(torch.empty(4, 2, 3))
    nn.init.dirac_(m.dirac, 2)
    m.xavier_uniform = nn.init.xavier_uniform_(nn.Parameter(torch.empty(shape)), 2.0)
    m.xavier_normal = nn.init.xavier_normal_(nn.Parameter(torch.empty(shape)))
    m.kaiming_uniform = nn.init.kaiming_uniform_(nn.Parameter(torch.empty(shape)), mode="fan_out")
    m.kaiming_normal = nn.init.kaiming_normal_(nn.Parameter(torch.empty(shape)), nonlinearity="relu")
    m.orthogonal = nn.init.orthogonal_(nn.Parameter(torch.empty(3, 2, 2)), 2.0)
    m.sparse = nn.init.sparse_(nn.Parameter(torch.empty(shape)), 0.3)


@model
def overwritten(m: nn.Module) -> None:
    m.first, m.second = nn.Linear(20, 30), nn.Linear(30, 7)
    for layer in (m.first, m.second):
        nn.init.normal_(layer.weight, std=0.02)
        layer.bias.data.zero_()


@model
def truncated_by_erfinv(m: nn.Module) -> None:
    def fill(tensor: Tensor, mean: float, std: float, a: float, b: float) -> None:
        low, high = ((1 + math.erf((end - mean) / std / math.sqrt(2))) / 2 for end in (a, b))
        tensor.uniform_(2 * low - 1, 2 * high - 1)
        tensor.erfinv_().mul_(std * math.sqrt(2.0)).add_(mean).clamp_(min=a, max=b)

    m.wide, m.narrow, m.unit = (nn.Parameter(torch.empty(20, 30)) for _ in range(3))
    with changed():
        fill(m.wide, 0.0, 0.02, -2.0, 2.0)
        fill(m.narrow, 0.1, 0.5, -0.4, 0.6)
        fill(m.unit, 0.0, 1.0, -2.0, 2.0)
        m.unit.mul_(0.1).add_(0.5)


@model
def slices(m: nn.Module) -> None:
    m.embedding = nn.Embedding(7, 5, padding_idx=3)
    m.embedding.weight.data[1].zero_()
    m.bias = nn.Parameter(torch.randn(20))
    m.bias.data[20 // 4 : 20 // 2].fill_(1.0)
    m.packed = nn.Parameter(torch.empty(30, 20))
    m.strided = nn.Parameter(torch.zeros(6, 8))
    with changed():
        for part, std in zip(m.packed.chunk(3), (0.1, 0.2, 0.3), strict=True):
            part.normal_(0, std)
        m.strided[:, 2] = torch.ones(6)
        m.strided[4, 4:] = torch.rand(4)
        m.strided.view(6, 2, 4)[:, 1, 0].uniform_()
        m.strided.t()[0].normal_()


@model
def not_contiguous(m: nn.Module) -> None:
    m.transposed, m.column = nn.Parameter(torch.empty(5, 8)), nn.Parameter(torch.zeros(20, 3))
    m.channels_last = nn.Parameter(torch.empty(2, 3, 4, 5).to(memory_format=torch.channels_last))
    with changed():
        m.transposed.t().normal_(std=0.5)
        m.column[:, 1].normal_()
        m.channels_last.normal_().mul_(2)


@model
def arithmetic(m: nn.Module) -> None:
    """As in Mamba's time steps, and scaled by depth."""
    steps = torch.exp(torch.rand(40) * 3 - 5).clamp(min=1e-4)
    m.steps = nn.Parameter(steps + torch.log(-torch.expm1(-steps)))
    m.scaled = nn.Linear(8, 8)
    m.scaled.weight.data.div_(math.sqrt(2.0 * 3))
    m.turned = nn.Parameter(torch.randn(4, 3).detach_().t_())
    m.scalar, m.number = nn.Parameter(torch.randn(())), nn.Parameter(torch.tensor(0.5))
    m.rows = nn.Parameter(torch.randn(4, 3) * torch.arange(1.0, 4.0))
    m.joined = nn.Parameter(torch.cat([torch.randn(2, 3), torch.zeros(1, 3)]))
    m.stacked = nn.Parameter(torch.stack([torch.eye(3), torch.rand(3, 3).tril()]))
    m.normed = nn.Parameter(nn.functional.normalize(torch.randn(5, 6), dim=1))


@model
def chosen(m: nn.Module) -> None:
    """Entries that are chosen by an index, a mask or a comparison."""
    m.rows, m.masked, m.clipped, m.gathered = (nn.Parameter(torch.randn(6, 4)) for _ in range(4))
    with changed():
        m.rows[torch.tensor([1, 4])] = 0.5
        m.masked[torch.ones(6, 4).tril().bool()] = -1.0
        m.clipped.copy_(torch.where(m.clipped.abs() > 1, torch.zeros(()), m.clipped))
        m.clipped.masked_fill_(m.clipped < -0.5, 2.0)
        m.gathered.copy_(m.rows[torch.tensor([5, 4, 3, 2, 1, 0])])


@model
def constants(m: nn.Module) -> None:
    m.register_buffer("mask", torch.tril(torch.ones(5, 5, dtype=torch.bool)).view(1, 1, 5, 5))
    m.register_buffer("positions", torch.arange(6).expand((1, -1)), persistent=False)
    m.register_buffer("frequencies", 1.0 / (10000 ** (torch.arange(0, 8, 2).float() / 8)))
    m.register_buffer("none", None)
    m.register_buffer("empty", torch.zeros(0, 3))
    m.rates = nn.Parameter(torch.tensor([rate.item() for rate in torch.linspace(0, 0.1, 3)]))
    m.log = nn.Parameter(torch.log(torch.arange(1.0, 5.0).repeat(3, 1)))
    m.shape = nn.Parameter(torch.zeros(2, 3))


@model
def tied_and_copied(m: nn.Module) -> None:
    m.embedding, m.head = nn.Embedding(7, 5), nn.Linear(5, 7, bias=False)
    m.head.weight = m.embedding.weight
    m.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)


@model
def parametrized(m: nn.Module) -> None:
    m.weight_norm = nn.utils.parametrizations.weight_norm(nn.Linear(6, 5))
    m.spectral_norm = nn.utils.parametrizations.spectral_norm(nn.Conv1d(3, 4, 2))


@model
def narrow(m: nn.Module) -> None:
    m.low = nn.Linear(20, 30, dtype=torch.bfloat16)
    m.half16 = nn.Parameter(torch.empty(20, 3, dtype=torch.float16).normal_().mul_(0.02))
    m.cast = nn.Linear(20, 30).to(torch.bfloat16)
    m.wide = nn.Parameter(torch.empty(20, dtype=torch.float64).uniform_(-1, 3))


@model
def numbers_beside_narrow_tensors(m: nn.Module) -> None:
    """torch rounds some numbers to the dtype of the tensor first. Many entries are close enough to show it."""
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        own = nn.Module()
        m.add_module(f"of_{dtype}".replace(".", "_"), own)
        own.masked, own.rest, own.chosen = (nn.Parameter(torch.rand(20_000, dtype=dtype)) for _ in range(3))
        with changed():
            own.masked[own.masked >= 0.7] = 0.0
            own.rest.masked_fill_(own.rest > torch.tensor(0.1), 0.0)
            own.chosen.copy_(torch.where(own.chosen == 0.1, 2.0, own.chosen))
        drawn = (torch.rand(500, dtype=dtype) for _ in range(8))
        results = [
            next(drawn) + 0.1, next(drawn) - 0.1, 0.1 - next(drawn), next(drawn) * 0.1, next(drawn) / 0.3,
            torch.tensor(0.1) * next(drawn), next(drawn) * torch.tensor(0.1), next(drawn) + torch.tensor(0.7),
        ]  # fmt: skip
        own.results = nn.Parameter(torch.stack(results))
        means = torch.linspace(1, 2, 500, dtype=dtype)
        normals = [torch.normal(means, 0.3), torch.normal(0.7, means), torch.normal(means, means)]
        own.normals, own.few = nn.Parameter(torch.stack(normals)), nn.Parameter(torch.normal(means[:5], 0.3))
        own.signs = nn.Parameter((torch.rand(20, dtype=dtype) - 0.5).log().sign())
    m.cubes = nn.Parameter(torch.rand(500) ** 3)


@model
def strided(m: nn.Module) -> None:
    """Views that are not slices."""
    m.diagonal, m.rows, m.chain = (
        nn.Parameter(torch.randn(6, 6)),
        nn.Parameter(torch.randn(9, 7)),
        nn.Parameter(torch.zeros(8, 6)),
    )
    with changed():
        m.diagonal.fill_diagonal_(1.0)
        m.rows[::2] = 0.0
        m.rows[1::2].mul_(3.0)
        m.rows[:, ::3].uniform_()
        m.chain.view(-1)[5:20].normal_()
        m.chain.T[2].fill_(3.0)
        m.chain.diagonal().add_(m.rows.diagonal()[:6])


@model
def complex_numbers(m: nn.Module) -> None:
    """As in state space models."""
    m.linear, m.drawn = nn.Linear(4, 3, dtype=torch.cfloat), nn.Parameter(torch.randn(4, 9, dtype=torch.cdouble))
    m.parts = nn.Parameter(torch.view_as_real(torch.randn(16, 8, dtype=torch.cfloat)))
    m.joined = nn.Parameter(torch.view_as_complex(torch.rand(4, 3, 2)))
    m.imaginary = nn.Parameter(torch.randn(5, dtype=torch.cfloat))
    m.imaginary.data.imag.zero_()
    m.column = nn.Parameter(torch.zeros(20, 3, dtype=torch.cfloat))
    m.column.data[:, 1].normal_(1.0, 2.0)
    m.register_buffer("rotations", torch.polar(torch.ones(4), torch.arange(4.0)))


@model
def more_arithmetic(m: nn.Module) -> None:
    """What few constructors do."""
    m.means = nn.Parameter(torch.normal(torch.arange(20.0), 0.3))
    m.stds = nn.Parameter(torch.normal(torch.zeros(20), torch.linspace(0, 1, 20)))
    m.mixed = nn.Parameter(torch.lerp(torch.zeros(5), torch.randn(5), 0.3))
    m.sum = nn.Parameter(torch.zeros(5).addcmul_(torch.randn(5), torch.rand(5), value=0.5))
    m.ratio = nn.Parameter(torch.ones(5).addcdiv_(torch.randn(5), torch.rand(5) + 1))
    m.logit, m.softmax = nn.Parameter(torch.logit(torch.rand(5))), nn.Parameter(torch.softmax(torch.randn(5, 3), -1))
    m.moduli, drawn = nn.Parameter(torch.randn(5, dtype=torch.cfloat).abs()), torch.randn(4, 5, dtype=torch.cfloat)
    m.lengths, m.spreads = nn.Parameter(torch.linalg.vector_norm(drawn, dim=1)), nn.Parameter(drawn.std(1))
    norms = [torch.linalg.vector_norm(torch.randn(4, 5), order, dim=1) for order in (0, 1, 3, math.inf, -math.inf)]
    m.norms = nn.Parameter(torch.stack(norms))
    m.running = nn.Parameter(torch.cumsum(torch.rand(4, 5), 1))
    m.steps = nn.Parameter((torch.rand(5) * 10).round())
    m.standard = nn.Parameter(torch.randn(6, 4))
    m.standard.data.sub_(m.standard.data.mean(0, keepdim=True)).div_(m.standard.data.std(0))
    m.product = nn.Parameter(nn.functional.linear(torch.randn(3, 4), torch.randn(5, 4), torch.ones(5)))


@model
def moved(m: nn.Module) -> None:
    m.repeated, m.padded = nn.Parameter(torch.randn(1, 4).repeat(3, 1)), nn.Parameter(torch.randn(2, 3))
    m.padded.data = nn.functional.pad(m.padded.data, (1, 2, 0, 1))
    m.rolled, m.flat = (
        nn.Parameter(torch.roll(torch.randn(4, 5), (1, 2), (0, 1))),
        nn.Parameter(torch.randn(2, 3).roll(2)),
    )
    m.blocks = nn.Parameter(torch.block_diag(torch.randn(2, 2), torch.randn(3, 2)))
    m.diagonal = nn.Parameter(torch.diag(torch.randn(3)))
    m.filled, m.copied, m.added = (nn.Parameter(torch.randn(6, 4)) for _ in range(3))
    with changed():
        m.filled.index_fill_(1, torch.tensor([1, 3]), 7.0)
        m.copied.index_copy_(0, torch.tensor([5, 2]), torch.randn(2, 4))
        m.added.index_add_(0, torch.tensor([1, 1]), torch.ones(2, 4), alpha=0.5)


@model
def without_memory_first(m: nn.Module) -> None:
    """On the device meta torch takes nothing from its generator."""
    m.skipped = skipped = nn.utils.skip_init(nn.Linear, 3, 2)
    for parameter in skipped.parameters():
        nn.init.normal_(parameter)
    m.later = nn.Linear(4, 3, device="meta").to_empty(device="cpu")
    nn.init.trunc_normal_(torch.empty(3, device="meta"))
    m.later.reset_parameters()


@model
def lazy(m: nn.Module) -> None:
    m.layers = nn.Sequential(nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.LazyLinear(3)).eval()
    m.layers(torch.zeros(2, 5))


@model
def orthogonal_parametrizations(m: nn.Module) -> None:
    m.square, m.tall = (nn.utils.parametrizations.orthogonal(nn.Linear(6, size)) for size in (6, 9))
    m.drawn = nn.Linear(6, 6)
    nn.init.orthogonal_(m.drawn.weight)
    nn.utils.parametrizations.orthogonal(m.drawn)


@model
def set_as_data(m: nn.Module) -> None:
    """`data` becomes another tensor: a constant in place of a draw, and a draw in place of a constant."""
    m.drawn, m.constant, m.same = nn.Linear(4, 4), nn.Parameter(torch.zeros(5)), nn.Linear(4, 3)
    m.drawn.weight.data = torch.eye(4) * 2
    m.drawn.bias.data = torch.tensor([1.0, 2.0, 3.0, 4.0])
    m.drawn.bias.data[0] = 7.0
    m.constant.data = torch.randn(6)
    m.constant.data.mul_(0.5)
    m.same.weight.data = torch.rand(3, 4)
    buffer = torch.zeros(3)
    m.register_buffer("buffer", buffer)
    buffer.data = torch.rand(3)
    m.same.bias.data = m.drawn.weight.data[:3, 0].clone()

"""Does a recipe hold for models that no one here wrote?

Models of transformers, timm and torchvision are built from their configurations, without any
download. Each is recorded. From a torch seed, the recipe must give what torch builds. From a
JAX key, each array must be drawn from its distribution, by a Kolmogorov-Smirnov test.

The script prints the table of docs/guides/record.md. It needs: pip install transformers timm torchvision

Run: python docs/scripts/recorded_models.py [names]
"""

import functools
import math
import sys
import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import scipy.stats
import timm
import torch
import torchvision
import transformers

import jaxinit
from jaxinit.distributions import Constant, Normal, TruncatedNormal, Uniform

FALSE_ALARM = 1e-9
Build = Callable[[], torch.nn.Module]


def configured(name: str, **config: Any) -> Build:
    """Return the builder of a small model of transformers."""
    sizes = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 128}
    kind, of = getattr(transformers, name), config.pop("of")
    own = config.pop("sizes", sizes)
    return lambda: kind(getattr(transformers, of)(**own, **config))


def in_dtype(build: Build, dtype: torch.dtype) -> Build:
    """Return a builder whose tensors have another default dtype."""

    def built() -> torch.nn.Module:
        before = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            return build()
        finally:
            torch.set_default_dtype(before)

    return built


WHISPER = {
    "d_model": 64,
    **{f"{side}_layers": 2 for side in ("encoder", "decoder")},
    **{f"{side}_attention_heads": 4 for side in ("encoder", "decoder")},
    **{f"{side}_ffn_dim": 128 for side in ("encoder", "decoder")},
}
SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
LLAMA = configured("LlamaForCausalLM", of="LlamaConfig", num_key_value_heads=2, vocab_size=300)
MODELS: dict[str, Build] = {
    "transformers BERT": configured("BertForMaskedLM", of="BertConfig", vocab_size=300),
    "transformers GPT-2": configured(
        "GPT2LMHeadModel", of="GPT2Config", sizes={"n_embd": 64, "n_layer": 3, "n_head": 4}, vocab_size=300, **SPECIAL
    ),
    "transformers T5": configured(
        "T5ForConditionalGeneration",
        of="T5Config",
        sizes={"d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 2, "num_heads": 4},
        vocab_size=300,
    ),
    "transformers ViT": configured("ViTForImageClassification", of="ViTConfig", image_size=32, patch_size=8),
    "transformers Whisper": configured(
        "WhisperForConditionalGeneration",
        of="WhisperConfig",
        sizes=WHISPER,
        vocab_size=300,
        num_mel_bins=20,
        max_source_positions=50,
        decoder_start_token_id=1,
        **SPECIAL,
    ),
    "transformers Llama": LLAMA,
    "transformers Llama, bfloat16": in_dtype(LLAMA, torch.bfloat16),
    "transformers Llama, float64": in_dtype(LLAMA, torch.float64),
    "transformers Mamba": configured(
        "MambaForCausalLM", of="MambaConfig", sizes={"hidden_size": 64, "num_hidden_layers": 3}, vocab_size=300
    ),
    "transformers Mixtral": configured(
        "MixtralForCausalLM", of="MixtralConfig", num_key_value_heads=2, vocab_size=300, num_local_experts=4
    ),
    "transformers wav2vec 2.0": configured(
        "Wav2Vec2ForCTC",
        of="Wav2Vec2Config",
        vocab_size=30,
        conv_dim=(32, 32),
        conv_stride=(5, 2),
        conv_kernel=(10, 3),
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
    ),
    "torchvision ResNet-18": torchvision.models.resnet18,
    "torchvision EfficientNet-B0": torchvision.models.efficientnet_b0,
    "torchvision ConvNeXt-T": torchvision.models.convnext_tiny,
    "torchvision Swin-T": torchvision.models.swin_t,
    "timm ResNet-18": functools.partial(timm.create_model, "resnet18"),
    "timm EfficientNet-B0": functools.partial(timm.create_model, "efficientnet_b0"),
    "timm ConvNeXt-Atto": functools.partial(timm.create_model, "convnext_atto"),
    "timm Swin-T": functools.partial(timm.create_model, "swin_tiny_patch4_window7_224"),
    "timm BEiT-B": functools.partial(timm.create_model, "beit_base_patch16_224"),
}


def forms(recipe: jaxinit.Recipe) -> tuple[int, int, int]:
    """Return how many tensors are drawn from one distribution, drawn and computed, and constant."""
    one = sum(isinstance(p.distribution, Uniform | Normal | TruncatedNormal) for p in recipe.parameters)
    draws = ("uniform(", "normal(", "trunc_normal(", "orthogonal(", "sparse(")
    drawn = sum(any(not s.is_overwritten and s.call.startswith(draws) for s in p.steps) for p in recipe.parameters)
    return one, drawn - one, len(recipe.parameters) - drawn


def compare(recipe: jaxinit.Recipe, build: Build, seed: int) -> tuple[int, float]:
    """Return the number of arrays that equal torch's, and the largest difference in units of a tensor's std."""
    torch.manual_seed(seed)
    theirs = build().state_dict()
    with jax.enable_x64(True):
        ours = recipe.sample(jaxinit.TorchGenerator(seed))
    assert set(ours) == set(theirs), sorted(set(ours) ^ set(theirs))
    same, largest = 0, 0.0
    for name, tensor in theirs.items():
        expected, array = tensor.double().numpy(), np.asarray(ours[name]).astype(np.float64)
        assert str(ours[name].dtype) == str(tensor.dtype).removeprefix("torch.")
        same += bool((array == expected).all())
        largest = max(largest, float(abs(array - expected).max(initial=0.0)) / (float(expected.std()) or 1.0))
    return same, largest


def deviates(recipe: jaxinit.Recipe, seed: int) -> list[str]:
    """Return the parameters whose arrays, drawn from a key, are not from their distribution."""
    arrays = recipe.sample(jax.random.key(seed), dtype="float32")
    kinds = {Uniform: scipy.stats.uniform, Normal: scipy.stats.norm, TruncatedNormal: scipy.stats.truncnorm}
    wrong = []
    for parameter in recipe.parameters:
        if parameter.kind == "computed buffer" or parameter.distribution is None:
            continue
        array = np.asarray(arrays[parameter.name]).astype(np.float64).ravel()
        match parameter.distribution:
            case Constant(value):
                if (abs(array - value) > 1e-6 * abs(value)).any():
                    wrong.append(parameter.name)
                continue
            case Uniform(low, high):
                numbers = low, high - low
            case Normal(mean, std):
                numbers = mean, std
            case TruncatedNormal(loc, scale, low, high):
                numbers = (low - loc) / scale, (high - loc) / scale, loc, scale
        distance = scipy.stats.kstest(array, kinds[type(parameter.distribution)](*numbers).cdf).statistic
        if distance > math.sqrt(math.log(2 / FALSE_ALARM) / 2 / array.size):
            wrong.append(parameter.name)
    return wrong


def row(name: str, build: Build, seed: int) -> str:
    recipe = jaxinit.record(build)
    one, computed, constant = forms(recipe)
    same, largest = compare(recipe, build, seed)
    stored = sum(1 + len(p.aliases) for p in recipe.parameters if p.kind != "computed buffer")
    if wrong := deviates(recipe, seed):
        raise SystemExit(f"{name}: a key draws {wrong[0]} from another distribution")
    return f"| {name} | {one} | {computed} | {constant} | 0 | {same} of {stored} | {largest:.1g} |"


def main(names: list[str]) -> None:
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    seed = int(np.random.default_rng().integers(2**31))
    versions = (f"{each.__name__} {each.__version__}" for each in (torch, transformers, timm, torchvision))
    print(f"{', '.join(versions)}; seed {seed}\n")
    print(
        "| model | one distribution | computed from draws | constant | refused | equal to the bit | difference, std |"
    )
    print("|---|---|---|---|---|---|---|")
    for name in names or MODELS:
        print(row(name, MODELS[name], seed), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

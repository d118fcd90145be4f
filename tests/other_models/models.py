"""Builders of small models of transformers, torchvision and timm, from their configurations, without downloads."""

import functools
from collections.abc import Callable
from typing import Any

import torch

from tests.other_models import timm, torchvision, transformers

Build = Callable[[], torch.nn.Module]
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


def of_transformers(name: str, config: str, sizes: dict[str, Any] = SIZES, **more: Any) -> Build:
    """Return the builder of a small model of transformers."""
    kind, of = getattr(transformers, name), getattr(transformers, config)
    return lambda: kind(of(**sizes, **more))


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


def of_timm(name: str, **sizes: Any) -> Build:
    return functools.partial(timm.create_model, name, **sizes)


def convnext() -> torch.nn.Module:
    block = torchvision.models.convnext.CNBlockConfig
    return torchvision.models.ConvNeXt([block(16, 32, 2), block(32, None, 1)], num_classes=10)  # type: ignore[no-any-return]


def efficientnet() -> torch.nn.Module:
    block = functools.partial(torchvision.models.efficientnet.MBConvConfig, width_mult=0.5, depth_mult=0.5)
    stages = [block(1, 3, 1, 32, 16, 1), block(6, 3, 2, 16, 24, 2), block(6, 5, 2, 24, 40, 2)]
    return torchvision.models.EfficientNet(stages, dropout=0.2, num_classes=10)  # type: ignore[no-any-return]


WHISPER = {
    "d_model": 32,
    **{f"{side}_layers": 2 for side in ("encoder", "decoder")},
    **{f"{side}_attention_heads": 4 for side in ("encoder", "decoder")},
    **{f"{side}_ffn_dim": 64 for side in ("encoder", "decoder")},
}
LLAMA = of_transformers("LlamaForCausalLM", "LlamaConfig", num_key_value_heads=2, vocab_size=300)
SWIN = {"embed_dim": 16, "depths": [1, 2], "num_heads": [2, 4], "window_size": [4, 4]}

MODELS: dict[str, Build] = {
    "transformers BERT": of_transformers("BertForMaskedLM", "BertConfig", vocab_size=300),
    "transformers GPT-2": of_transformers(
        "GPT2LMHeadModel", "GPT2Config", {"n_embd": 32, "n_layer": 3, "n_head": 4}, vocab_size=300, **SPECIAL
    ),
    "transformers T5": of_transformers(
        "T5ForConditionalGeneration",
        "T5Config",
        {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4},
        vocab_size=300,
    ),
    "transformers ViT": of_transformers("ViTForImageClassification", "ViTConfig", image_size=32, patch_size=8),
    "transformers CLIP": of_transformers(
        "CLIPModel",
        "CLIPConfig",
        {},
        text_config={**SIZES, "vocab_size": 300},
        vision_config={**SIZES, "image_size": 32},
    ),
    "transformers Whisper": of_transformers(
        "WhisperForConditionalGeneration",
        "WhisperConfig",
        WHISPER,
        vocab_size=300,
        num_mel_bins=20,
        max_source_positions=50,
        decoder_start_token_id=1,
        **SPECIAL,
    ),
    "transformers Llama": LLAMA,
    "transformers Llama, bfloat16": in_dtype(LLAMA, torch.bfloat16),
    "transformers Llama, float64": in_dtype(LLAMA, torch.float64),
    "transformers Qwen3": of_transformers(
        "Qwen3ForCausalLM", "Qwen3Config", num_key_value_heads=2, head_dim=8, vocab_size=300
    ),
    "transformers Gemma 2": of_transformers(
        "Gemma2ForCausalLM", "Gemma2Config", num_key_value_heads=2, head_dim=8, vocab_size=300
    ),
    "transformers Mixtral": of_transformers(
        "MixtralForCausalLM", "MixtralConfig", num_key_value_heads=2, vocab_size=300, num_local_experts=4
    ),
    "transformers Mamba": of_transformers(
        "MambaForCausalLM", "MambaConfig", {"hidden_size": 32, "num_hidden_layers": 2}, vocab_size=300
    ),
    "transformers Mamba 2": of_transformers(
        "Mamba2ForCausalLM",
        "Mamba2Config",
        {"hidden_size": 32, "num_hidden_layers": 2, "num_heads": 8, "head_dim": 8, "state_size": 16, "n_groups": 2},
        vocab_size=300,
    ),
    "transformers wav2vec 2.0": of_transformers(
        "Wav2Vec2ForCTC",
        "Wav2Vec2Config",
        vocab_size=30,
        conv_dim=(32, 32),
        conv_stride=(5, 2),
        conv_kernel=(10, 3),
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
    ),
    "torchvision ResNet": functools.partial(
        torchvision.models.ResNet, torchvision.models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=10
    ),
    "torchvision EfficientNet": efficientnet,
    "torchvision ConvNeXt": convnext,
    "torchvision Swin": functools.partial(torchvision.models.SwinTransformer, [4, 4], num_classes=10, **SWIN),
    "torchvision ViT": functools.partial(torchvision.models.VisionTransformer, 32, 8, 2, 4, 32, 64, num_classes=10),
    "timm ResNet": of_timm("resnet18", layers=(1, 1, 1, 1), num_classes=10),
    "timm EfficientNet": of_timm("test_efficientnet", num_classes=10),
    "timm ConvNeXt": of_timm("convnext_atto", depths=(1, 1, 2, 1), dims=(8, 16, 24, 32), num_classes=10),
    "timm Swin": of_timm("swin_tiny_patch4_window7_224", embed_dim=16, depths=(1, 2), num_heads=(2, 4), num_classes=10),
    "timm BEiT": of_timm("beit_base_patch16_224", embed_dim=32, depth=2, num_heads=4, num_classes=10),
}

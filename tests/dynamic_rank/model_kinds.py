"""Tiny random models of many architectures, the cases of test_model_kinds.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import nn

from tests.dynamic_rank.tiny_models import DEVICE

VOCABULARY = 40
LENGTH = 8
BATCH = 4


@dataclass(frozen=True)
class Kind:
    """model: class in transformers; config: class and settings of its configuration; inputs: the kind of its batches."""

    model: str
    config: str
    settings: dict[str, Any]
    task: str | None
    inputs: str = "text"
    head: str = ""
    """A module that must be trained fully."""
    left_out: str = ""
    """A part of the warning about modules that are left out; empty if there are none."""
    refused: str = ""
    """A part of the error for kinds that can't be adapted."""

    def build(self) -> nn.Module:
        torch.manual_seed(0)
        config = getattr(transformers, self.config)(**self.settings)
        model: nn.Module = getattr(transformers, self.model)(config)
        return model.to(DEVICE)

    def batch(self, seed: int) -> dict[str, torch.Tensor]:
        inputs = INPUTS[self.inputs](torch.Generator().manual_seed(seed))
        return {name: tensor.to(DEVICE) for name, tensor in inputs.items()}


def _ids(generator: torch.Generator, *shape: int) -> torch.Tensor:
    ids = torch.randint(4, VOCABULARY, shape or (BATCH, LENGTH), generator=generator)
    ids[..., -1] = 2
    return ids


def _text(generator: torch.Generator) -> dict[str, torch.Tensor]:
    ids = _ids(generator)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": (ids[:, 0] > VOCABULARY // 2).long()}


def _tokens(generator: torch.Generator) -> dict[str, torch.Tensor]:
    ids = _ids(generator)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids % 2}


def _language(generator: torch.Generator) -> dict[str, torch.Tensor]:
    ids = _ids(generator)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids.clone()}


def _spans(generator: torch.Generator) -> dict[str, torch.Tensor]:
    ids = _ids(generator)
    places = torch.randint(0, LENGTH, (2, BATCH), generator=generator)
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "start_positions": places[0],
        "end_positions": places[1],
    }


def _choices(generator: torch.Generator) -> dict[str, torch.Tensor]:
    ids = _ids(generator, BATCH, 3, LENGTH)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids[:, 0, 0] % 3}


def _images(generator: torch.Generator) -> dict[str, torch.Tensor]:
    pixels = torch.randn(BATCH, 3, 32, 32, generator=generator)
    return {"pixel_values": pixels, "labels": (pixels[:, 0, 0, 0] > 0).long()}


def _speech(generator: torch.Generator) -> dict[str, torch.Tensor]:
    return {
        "input_values": torch.randn(BATCH, 400, generator=generator),
        "labels": torch.randint(1, 10, (BATCH, 2), generator=generator),
    }


def _sounds(generator: torch.Generator) -> dict[str, torch.Tensor]:
    return {
        "input_values": torch.randn(BATCH, 400, generator=generator),
        "labels": torch.randint(0, 2, (BATCH,), generator=generator),
    }


def _mel(generator: torch.Generator) -> dict[str, torch.Tensor]:
    ids = _ids(generator)
    return {"input_features": torch.randn(BATCH, 16, 32, generator=generator), "labels": ids}


def _pairs(generator: torch.Generator) -> dict[str, torch.Tensor]:
    ids = _ids(generator)
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "pixel_values": torch.randn(BATCH, 3, 32, 32, generator=generator),
        "return_loss": True,  # type: ignore[dict-item]
    }


INPUTS: dict[str, Callable[[torch.Generator], dict[str, torch.Tensor]]] = {
    "text": _text,
    "tokens": _tokens,
    "language": _language,
    "spans": _spans,
    "choices": _choices,
    "images": _images,
    "speech": _speech,
    "sounds": _sounds,
    "mel": _mel,
    "pairs": _pairs,
}

_ENCODER = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
_DECODER = _ENCODER | {"num_key_value_heads": 1, "head_dim": 8}
_MOE = _DECODER | {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 12}
_GPT = {
    "vocab_size": VOCABULARY,
    "n_embd": 16,
    "n_layer": 2,
    "n_head": 2,
    "n_positions": 40,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 1,
}
_PAIRED = {
    "vocab_size": VOCABULARY,
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24,
    "max_position_embeddings": 40,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
    "forced_eos_token_id": None,
}
_T5 = {
    "vocab_size": VOCABULARY,
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 24,
    "num_layers": 2,
    "num_heads": 2,
    "pad_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 0,
}
_IMAGE = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "image_size": 32,
    "patch_size": 8,
}
_SPEECH = {
    "vocab_size": 10,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": (16, 16),
    "conv_kernel": (10, 4),
    "conv_stride": (5, 4),
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "num_feat_extract_layers": 2,
    "apply_spec_augment": False,
}
_EXPERTS = "mlp.experts"


def _encoder(name: str, **settings: Any) -> Kind:
    head = settings.pop("head", "classifier")
    config = settings.pop("config", f"{name}Config")
    without = settings.pop("without", ())
    base = {name: value for name, value in _ENCODER.items() if name not in without}
    stated = {name: settings.pop(name, "") for name in ("left_out", "refused")}
    return Kind(f"{name}ForSequenceClassification", config, base | settings, "SEQ_CLS", head=head, **stated)


def _decoder(name: str, base: dict[str, Any] = _DECODER, **settings: Any) -> Kind:
    model = settings.pop("model", f"{name}ForCausalLM")
    left_out = settings.pop("left_out", "")
    return Kind(model, f"{name}Config", base | settings, "CAUSAL_LM", "language", left_out=left_out)


KINDS: dict[str, Kind] = {
    # Encoders
    "bert": _encoder("Bert"),
    "roberta": _encoder("Roberta"),
    "xlm_roberta": _encoder("XLMRoberta"),
    "xlm_roberta_xl": _encoder("XLMRobertaXL"),
    "camembert": _encoder("Camembert"),
    "distilbert": _encoder("DistilBert", dim=16, n_layers=2, n_heads=2, hidden_dim=24, head="pre_classifier"),
    "albert": _encoder("Albert", embedding_size=8),
    "electra": _encoder("Electra", embedding_size=8),
    "deberta": _encoder("Deberta", relative_attention=True, pos_att_type=["c2p", "p2c"]),
    "deberta_v2": _encoder("DebertaV2", relative_attention=True, pos_att_type=["c2p", "p2c"]),
    "mpnet": _encoder("MPNet"),
    "modernbert": _encoder(
        "ModernBert", global_attn_every_n_layers=2, local_attention=4, cls_token_id=0, sep_token_id=2
    ),
    "longformer": _encoder("Longformer", attention_window=4),
    "big_bird": _encoder("BigBird", attention_type="original_full"),
    "funnel": _encoder(
        "Funnel",
        without=("num_hidden_layers",),
        d_model=16,
        n_head=2,
        d_head=8,
        d_inner=24,
        block_sizes=[1, 1],
        num_decoder_layers=1,
        left_out="attention",
    ),
    "xlnet": _encoder(
        "XLNet",
        without=("max_position_embeddings",),
        d_model=16,
        n_layer=2,
        n_head=2,
        d_inner=24,
        head="logits_proj",
        left_out="rel_attn",
    ),
    "mobilebert": _encoder("MobileBert", embedding_size=16, intra_bottleneck_size=16, num_feedforward_networks=1),
    "squeezebert": _encoder(
        "SqueezeBert",
        embedding_size=16,
        q_groups=1,
        k_groups=1,
        v_groups=1,
        refused="no linear module in a numbered block",
    ),
    "convbert": _encoder("ConvBert", embedding_size=16, conv_kernel_size=3, head_ratio=2),
    "ernie": _encoder("Ernie"),
    "esm": _encoder("Esm"),
    "roformer": _encoder("RoFormer", embedding_size=16),
    "rembert": _encoder("RemBert", input_embedding_size=8, output_embedding_size=8),
    "fnet": _encoder("FNet"),
    "nystromformer": _encoder("Nystromformer", num_landmarks=8, segment_means_seq_len=8),
    "flaubert": _encoder(
        "Flaubert", emb_dim=16, n_layers=2, n_heads=2, n_words=VOCABULARY, pad_index=1, head="sequence_summary"
    ),
    "bert_tokens": Kind("BertForTokenClassification", "BertConfig", _ENCODER, "TOKEN_CLS", "tokens", head="classifier"),
    "bert_spans": Kind("BertForQuestionAnswering", "BertConfig", _ENCODER, "QUESTION_ANS", "spans", head="qa_outputs"),
    "bert_masked": Kind("BertForMaskedLM", "BertConfig", _ENCODER, None, "language"),
    "bert_multiple_choice": Kind("BertForMultipleChoice", "BertConfig", _ENCODER, None, "choices", head="classifier"),
    # Decoders
    "gpt2": _decoder("GPT2", _GPT, model="GPT2LMHeadModel"),
    "gpt_bigcode": _decoder("GPTBigCode", _GPT),
    "gpt_neo": _decoder("GPTNeo", num_layers=2, num_heads=2, attention_types=[[["global", "local"], 1]], window_size=4),
    "gptj": _decoder("GPTJ", _GPT, rotary_dim=4),
    "gpt_neox": _decoder("GPTNeoX"),
    "codegen": _decoder("CodeGen", _GPT | {"n_head": 4}, rotary_dim=4),
    "opt": _decoder("OPT", ffn_dim=24, word_embed_proj_dim=16),
    "bloom": _decoder("Bloom", n_layer=2, n_head=2),
    "llama": _decoder("Llama"),
    "llama_classifier": Kind("LlamaForSequenceClassification", "LlamaConfig", _DECODER, "SEQ_CLS", head="score"),
    "mistral": _decoder("Mistral"),
    "mixtral": _decoder("Mixtral", _MOE, num_local_experts=4, left_out=_EXPERTS),
    "qwen2": _decoder("Qwen2"),
    "qwen2_moe": _decoder(
        "Qwen2Moe", _MOE, shared_expert_intermediate_size=12, decoder_sparse_step=1, left_out=_EXPERTS
    ),
    "qwen3": _decoder("Qwen3"),
    "qwen3_moe": _decoder("Qwen3Moe", _MOE, decoder_sparse_step=1, mlp_only_layers=[0], left_out=_EXPERTS),
    "gemma": _decoder("Gemma"),
    "gemma2": _decoder("Gemma2", sliding_window=4, query_pre_attn_scalar=8),
    "gemma3": Kind(
        "Gemma3ForCausalLM", "Gemma3TextConfig", _DECODER | {"query_pre_attn_scalar": 8}, "CAUSAL_LM", "language"
    ),
    "phi": _decoder("Phi", num_key_value_heads=2),
    "phi3": _decoder("Phi3"),
    "phimoe": _decoder("Phimoe", _MOE, num_local_experts=4, left_out=_EXPERTS),
    "falcon": _decoder("Falcon", _ENCODER, multi_query=True),
    "mpt": _decoder("Mpt", d_model=16, n_layers=2, n_heads=2, expansion_ratio=2, max_seq_len=40),
    "olmo": _decoder("Olmo"),
    "olmo2": _decoder("Olmo2"),
    "olmoe": _decoder("Olmoe", _MOE, left_out=_EXPERTS),
    "starcoder2": _decoder("Starcoder2"),
    "stablelm": _decoder("StableLm"),
    "cohere": _decoder("Cohere"),
    "cohere2": _decoder("Cohere2", sliding_window=4),
    "granite": _decoder("Granite"),
    "granitemoe": _decoder(
        "GraniteMoe", _DECODER, num_local_experts=4, num_experts_per_tok=2, left_out="block_sparse_moe"
    ),
    "deepseek_v3": _decoder(
        "DeepseekV3",
        _MOE | {"num_key_value_heads": 2, "head_dim": 4},
        n_routed_experts=4,
        n_shared_experts=1,
        first_k_dense_replace=1,
        kv_lora_rank=8,
        q_lora_rank=8,
        qk_rope_head_dim=4,
        qk_nope_head_dim=4,
        v_head_dim=8,
        n_group=2,
        topk_group=1,
        left_out=_EXPERTS,
    ),
    "glm": _decoder("Glm"),
    "glm4": _decoder("Glm4"),
    "glm4_moe": _decoder(
        "Glm4Moe",
        _MOE,
        n_routed_experts=4,
        n_shared_experts=1,
        first_k_dense_replace=1,
        n_group=1,
        topk_group=1,
        left_out=_EXPERTS,
    ),
    "nemotron": _decoder("Nemotron"),
    "persimmon": _decoder("Persimmon", num_key_value_heads=2),
    "smollm3": _decoder("SmolLM3"),
    "exaone4": _decoder("Exaone4", sliding_window=4),
    "ernie4_5": _decoder("Ernie4_5"),
    "helium": _decoder("Helium"),
    "xglm": _decoder("XGLM", d_model=16, num_layers=2, attention_heads=2, ffn_dim=24),
    "biogpt": _decoder("BioGpt"),
    "gpt_oss": _decoder("GptOss", _MOE, num_local_experts=4, sliding_window=4, left_out=_EXPERTS),
    "mamba": _decoder("Mamba", state_size=4, expand=2, conv_kernel=4, left_out="out_proj"),
    "mamba2": _decoder(
        "Mamba2", state_size=4, num_heads=4, head_dim=8, expand=2, n_groups=1, chunk_size=4, left_out="out_proj"
    ),
    "falcon_mamba": _decoder("FalconMamba", state_size=4, expand=2, conv_kernel=4, left_out="out_proj"),
    "jamba": _decoder(
        "Jamba",
        _MOE,
        attn_layer_period=2,
        attn_layer_offset=1,
        expert_layer_period=2,
        expert_layer_offset=1,
        use_mamba_kernels=False,
        mamba_d_state=4,
        mamba_dt_rank=4,
        left_out="experts",
    ),
    "rwkv": _decoder("Rwkv", attention_hidden_size=16, context_length=40),
    "recurrent_gemma": _decoder(
        "RecurrentGemma",
        lru_width=16,
        attention_window_size=4,
        block_types=["recurrent", "attention"],
        left_out="rg_lru",
    ),
    # Encoder-decoders
    "t5": Kind("T5ForConditionalGeneration", "T5Config", _T5, "SEQ_2_SEQ_LM", "language"),
    "mt5": Kind("MT5ForConditionalGeneration", "MT5Config", _T5, "SEQ_2_SEQ_LM", "language"),
    "umt5": Kind("UMT5ForConditionalGeneration", "UMT5Config", _T5, "SEQ_2_SEQ_LM", "language"),
    "longt5": Kind(
        "LongT5ForConditionalGeneration",
        "LongT5Config",
        _T5 | {"local_radius": 4, "global_block_size": 4},
        "SEQ_2_SEQ_LM",
        "language",
    ),
    "switch_transformers": Kind(
        "SwitchTransformersForConditionalGeneration",
        "SwitchTransformersConfig",
        _T5
        | {"num_decoder_layers": 2, "num_experts": 2, "num_sparse_encoder_layers": 1, "num_sparse_decoder_layers": 1},
        "SEQ_2_SEQ_LM",
        "language",
    ),
    "bart": Kind("BartForConditionalGeneration", "BartConfig", _PAIRED, "SEQ_2_SEQ_LM", "language"),
    "bart_classifier": Kind(
        "BartForSequenceClassification",
        "BartConfig",
        _PAIRED | {"num_labels": 2},
        "SEQ_CLS",
        head="classification_head",
    ),
    "bart_layerdrop": Kind(
        "BartForConditionalGeneration", "BartConfig", _PAIRED | {"encoder_layerdrop": 0.5}, "SEQ_2_SEQ_LM", "language"
    ),
    "mbart": Kind("MBartForConditionalGeneration", "MBartConfig", _PAIRED, "SEQ_2_SEQ_LM", "language"),
    "pegasus": Kind("PegasusForConditionalGeneration", "PegasusConfig", _PAIRED, "SEQ_2_SEQ_LM", "language"),
    "bigbird_pegasus": Kind(
        "BigBirdPegasusForConditionalGeneration",
        "BigBirdPegasusConfig",
        _PAIRED | {"attention_type": "original_full"},
        "SEQ_2_SEQ_LM",
        "language",
    ),
    "marian": Kind("MarianMTModel", "MarianConfig", _PAIRED, "SEQ_2_SEQ_LM", "language"),
    "led": Kind(
        "LEDForConditionalGeneration",
        "LEDConfig",
        _PAIRED | {"max_encoder_position_embeddings": 40, "max_decoder_position_embeddings": 40, "attention_window": 4},
        "SEQ_2_SEQ_LM",
        "language",
    ),
    "m2m_100": Kind("M2M100ForConditionalGeneration", "M2M100Config", _PAIRED, "SEQ_2_SEQ_LM", "language"),
    "blenderbot": Kind("BlenderbotForConditionalGeneration", "BlenderbotConfig", _PAIRED, "SEQ_2_SEQ_LM", "language"),
    "plbart": Kind("PLBartForConditionalGeneration", "PLBartConfig", _PAIRED, "SEQ_2_SEQ_LM", "language"),
    "prophetnet": Kind(
        "ProphetNetForConditionalGeneration",
        "ProphetNetConfig",
        {name: value for name, value in _ENCODER.items() if name != "num_hidden_layers"}
        | {
            "num_encoder_layers": 2,
            "num_decoder_layers": 2,
            "num_encoder_attention_heads": 2,
            "num_decoder_attention_heads": 2,
            "encoder_ffn_dim": 24,
            "decoder_ffn_dim": 24,
            "decoder_start_token_id": 0,
            "ngram": 2,
        },
        "SEQ_2_SEQ_LM",
        "language",
    ),
    # Images, speech, pairs
    "vit": Kind("ViTForImageClassification", "ViTConfig", _IMAGE, None, "images", head="classifier"),
    "deit": Kind("DeiTForImageClassification", "DeiTConfig", _IMAGE, None, "images", head="classifier"),
    "beit": Kind("BeitForImageClassification", "BeitConfig", _IMAGE, None, "images", head="classifier"),
    "dinov2": Kind("Dinov2ForImageClassification", "Dinov2Config", _IMAGE, None, "images", head="classifier"),
    "swin": Kind(
        "SwinForImageClassification",
        "SwinConfig",
        {"image_size": 32, "patch_size": 4, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4},
        None,
        "images",
        "classifier",
        "relative_position",
    ),
    "wav2vec2_ctc": Kind("Wav2Vec2ForCTC", "Wav2Vec2Config", _SPEECH, None, "speech", head="lm_head"),
    "hubert_ctc": Kind("HubertForCTC", "HubertConfig", _SPEECH, None, "speech", head="lm_head"),
    "wav2vec2_classifier": Kind(
        "Wav2Vec2ForSequenceClassification",
        "Wav2Vec2Config",
        _SPEECH | {"classifier_proj_size": 16},
        "SEQ_CLS",
        "sounds",
        head="projector",
    ),
    "whisper": Kind(
        "WhisperForConditionalGeneration",
        "WhisperConfig",
        _PAIRED
        | {
            "num_mel_bins": 16,
            "max_source_positions": 16,
            "max_target_positions": 40,
            "suppress_tokens": None,
            "begin_suppress_tokens": None,
        },
        None,
        "mel",
    ),
    "clip": Kind(
        "CLIPModel",
        "CLIPConfig",
        {"text_config": _ENCODER, "vision_config": _IMAGE, "projection_dim": 16},
        None,
        "pairs",
    ),
    "siglip": Kind(
        "SiglipModel",
        "SiglipConfig",
        {"text_config": _ENCODER | {"projection_size": 16}, "vision_config": _IMAGE},
        None,
        "pairs",
    ),
}

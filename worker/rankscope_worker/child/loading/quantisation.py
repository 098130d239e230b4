"""The quantisation of a base model while it is loaded."""

import torch
from transformers import BitsAndBytesConfig

from rankscope.contract.config import RunConfig


def quantisation_of(config: RunConfig) -> BitsAndBytesConfig | None:
    """Returns bitsandbytes' settings for the run; None if its weights are loaded unchanged.

    4 bits as in QLoRA: nf4 with double quantisation, computed in the run's precision.
    """
    match config.model.quantization:
        case "none":
            return None
        case "8-bit":
            return BitsAndBytesConfig(load_in_8bit=True)
        case "4-bit":
            return BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=True,
                bnb_4bit_compute_dtype=torch.bfloat16 if config.hardware.precision == "bf16" else torch.float32,
            )

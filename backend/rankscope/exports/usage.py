"""A script that loads a run's result and asks it about a text: complete, so that it runs as it is."""

from collections.abc import Sequence

_MOST_LABELS = 50


def usage(run_id: str, *, is_full: bool, base: str | None, labels: Sequence[str]) -> str:
    """Python for the unpacked zip beside the script. `base`: what from_pretrained takes; None when it is not known."""
    folder = f"{run_id}-{'model' if is_full else 'adapter'}"
    if is_full:
        load = [f'model = AutoModelForSequenceClassification.from_pretrained("{folder}")']
    else:
        source = repr(base) if base is not None else '"FOLDER OR HUB NAME OF THE BASE MODEL"'
        load = [
            f"base = AutoModelForSequenceClassification.from_pretrained({source}, num_labels={len(labels) or 2})",
            f'model = PeftModel.from_pretrained(base, "{folder}").merge_and_unload()',
        ]
    names = repr(list(labels)) if 0 < len(labels) <= _MOST_LABELS else None
    answer = "scores.argmax().item()"
    return "\n".join(
        [
            "import torch",
            *([] if is_full else ["from peft import PeftModel"]),
            "from transformers import AutoModelForSequenceClassification, AutoTokenizer",
            "",
            f'tokenizer = AutoTokenizer.from_pretrained("{folder}")',
            *load,
            "model.config.pad_token_id = tokenizer.pad_token_id",
            "model.eval()",
            *([f"labels = {names}"] if names else []),
            "",
            'inputs = tokenizer("a text of your own", return_tensors="pt")',
            "with torch.no_grad():",
            "    scores = model(**inputs).logits[0].softmax(-1)",
            f"print({f'labels[{answer}]' if names else answer}, scores.max().item())",
            "",
        ]
    )

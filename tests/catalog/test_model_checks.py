"""The plan's findings about a model, compared with what transformers does with its files."""

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rankscope.catalog import Catalog
from rankscope.catalog.models.entry import ModelEntry
from rankscope.catalog.models.models import Models
from rankscope.contract.config import RunConfig
from rankscope.launch.plan import make_plan
from rankscope.settings import Settings
from tests.model_folders import ADDED, CONFIG, SHAPES, WORDS_JSON, make_folder
from tests.tiny import FILLER, WORDS, make_reviews

TEXT = " ".join([*FILLER, *WORDS["fresh"], *WORDS["rotten"]])
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<s>", "</s>", "<unk>", "<pad>", *TEXT.split()]


def find(folder: Path) -> ModelEntry:
    (entry,) = (entry for entry in Models(folder.parent).all() if entry.id == f"local:{folder.name}")
    return entry


def save_fast(folder: Path) -> None:
    """tokenizer.json of the kind that the model's class takes: bytes and pairs, or whole words."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    if json.loads((folder / "config.json").read_text())["model_type"] in ("roberta", "bart", "gpt2", "qwen2"):
        save_pairs(folder)
        pairs = Tokenizer(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
        pairs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        pairs.save(str(folder / "tokenizer.json"))
        (folder / "vocab.json").unlink()
        (folder / "merges.txt").unlink()
        return
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))


def save_pairs(folder: Path) -> None:
    letters = [*sorted(set(TEXT.replace(" ", ""))), "Ġ"]
    words = [*VOCABULARY[:9], *letters, "\u0120f"]
    (folder / "vocab.json").write_text(json.dumps({word: at for at, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n\u0120 f\n")


def save_vocabulary_of_pairs(folder: Path) -> None:
    save_pairs(folder)
    (folder / "merges.txt").unlink()


FILES: dict[str, Callable[[Path], object]] = {
    "none": lambda folder: None,
    "tokenizer.json": save_fast,
    "vocab.txt": lambda folder: (folder / "vocab.txt").write_text("\n".join(VOCABULARY)),
    "vocab.json and merges.txt": save_pairs,
    "vocab.json alone": save_vocabulary_of_pairs,
    "spiece.model": lambda folder: (folder / "spiece.model").write_bytes(
        b"\n\x0e\n\x05<unk>\x15\x00\x00\x00\x00\x18\x02"
    ),
}


@pytest.mark.parametrize("files", FILES)
@pytest.mark.parametrize(
    "kind",
    [
        "bert",
        "distilbert",
        "electra",
        "mpnet",
        "roberta",
        "bart",
        "gpt2",
        "qwen2",
        "llama",
        "mistral",
        "modernbert",
        "bloom",
    ],
)
def test_tokenizer_is_refused_exactly_when_transformers_makes_no_real_one(
    tmp_path: Path, kind: str, files: str
) -> None:
    from transformers import AutoModel, AutoTokenizer

    from scripts.small_models import shrunk

    folder = tmp_path / "models" / "model"
    AutoModel.from_config(shrunk(kind)).save_pretrained(folder)
    FILES[files](folder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        known = set(tokenizer(TEXT, add_special_tokens=False)["input_ids"]) - {tokenizer.unk_token_id}
        is_real = len(known) > 1
    except Exception:
        is_real = False
    problem = find(folder).problem
    assert (problem is None) == is_real, problem
    if problem is not None:
        assert "tokenizer" in problem or "merges.txt" in problem


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("bert", {}),
        ("distilbert", {}),
        ("electra", {}),
        ("albert", {}),
        ("gpt2", {}),
        ("gptj", {"rotary_dim": 4}),
        ("opt", {}),
        ("bart", {}),
        ("xlm-roberta", {}),
        ("mpnet", {}),
        ("roberta", {}),
        ("roberta", {"pad_token_id": 5}),
        ("deberta-v2", {"pooler_hidden_size": 96}),
    ],
)
def test_context_length_is_the_longest_text_that_the_model_takes(
    tmp_path: Path, kind: str, changes: dict[str, Any]
) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    from scripts.small_models import shrunk

    config: Any = shrunk(kind)
    for name, value in changes.items():
        setattr(config, name, value)
    if config.pad_token_id is None:
        config.pad_token_id = 0
    folder = tmp_path / "models" / "model"
    model = AutoModelForSequenceClassification.from_config(config).eval()
    model.save_pretrained(folder)
    save_fast(folder)
    longest = find(folder).context_length
    assert longest is not None
    ends = config.eos_token_id if isinstance(config.eos_token_id, int) and config.eos_token_id < 1009 else 2

    def answer(length: int) -> None:
        ids = torch.full((1, length), 7)
        ids[:, -1] = ends
        with torch.no_grad():
            model(input_ids=ids, attention_mask=torch.ones_like(ids))

    answer(longest)
    with pytest.raises((IndexError, RuntimeError, ValueError)):
        answer(longest + 1)


@pytest.mark.parametrize("kind", ["bloom", "t5", "xlnet"])
def test_model_whose_positions_are_relative_has_no_context_length(tmp_path: Path, kind: str) -> None:
    from rankscope.catalog.models.architectures import architectures
    from rankscope.catalog.models.config import context_length

    assert context_length({"n_positions": 512, "seq_length": 64}, architectures()[kind]) is None


@pytest.mark.parametrize(("wanted", "planned"), [(16, 16), (32, 32), (33, 32), (131_072, 32)])
def test_text_length_is_lowered_to_what_the_model_takes_and_the_plan_says_so(
    tmp_path: Path, wanted: int, planned: int
) -> None:
    settings = Settings(data_dir=tmp_path)
    make_folder(settings.models_dir / "good")
    make_reviews(settings.datasets_dir / "reviews.csv")
    config = {
        "model": {"id": "local:good"},
        "data": {"id": "local:reviews"},
        "method": {"name": "lora"},
        "training": {"max_steps": 5, "max_length": wanted, "eval_every": 5},
    }
    plan = make_plan(RunConfig.model_validate(config), Catalog(settings))
    assert plan.context_length == 32
    assert plan.config.training.max_length == planned
    said = [warning for warning in plan.warnings if "max_length" in warning]
    assert len(said) == (wanted > planned)
    assert all(str(wanted) in warning and "32" in warning for warning in said)


@pytest.mark.parametrize(("special", "is_usable"), [({"special": True}, True), ({"special": False}, False)])
def test_special_token_without_an_embedding_is_accepted_because_no_text_contains_it(
    tmp_path: Path, special: dict[str, bool], is_usable: bool
) -> None:
    folder = make_folder(tmp_path / "models" / "good")
    tokenizer = WORDS_JSON | {"added_tokens": [ADDED | {"id": CONFIG["vocab_size"], "content": "<pad>", **special}]}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert (find(folder).problem is None) == is_usable


def test_sizes_that_transformers_computes_from_others_need_not_be_in_the_configuration(tmp_path: Path) -> None:
    """Llama's head_dim and num_key_value_heads: early models have neither, whatever their width."""
    config = {
        "model_type": "llama",
        "hidden_size": 48,
        "num_attention_heads": 3,
        "num_hidden_layers": 1,
        "intermediate_size": 20,
        "vocab_size": 12,
    }
    shapes = {
        "model.embed_tokens.weight": (12, 48),
        **{f"model.layers.0.self_attn.{name}_proj.weight": (48, 48) for name in "qkvo"},
        "model.layers.0.mlp.up_proj.weight": (20, 48),
    }
    folder = make_folder(tmp_path / "models" / "good", config=config, shapes=shapes)
    (folder / "tokenizer.json").write_text(json.dumps(WORDS_JSON))
    assert find(folder).problem is None
    (folder / "config.json").write_text(json.dumps(config | {"num_key_value_heads": 1}))
    assert "k_proj.weight of shape 48 x 48, but config.json has num_key_value_heads 1 and head_dim 16" in str(
        find(folder).problem
    )


def test_weights_of_another_task_and_more_blocks_than_configured_are_left_out(tmp_path: Path) -> None:
    shapes = {
        **SHAPES,
        "encoder.layer.1.attention.self.query.weight": (8, 8),
        "cls.predictions.decoder.weight": (12, 8),
        "pooler.dense.weight": (8, 8),
    }
    folder = make_folder(tmp_path / "models" / "good", shapes=shapes)
    entry = find(folder)
    assert [module.layer for module in entry.modules] == [0, 0, 0]
    assert entry.body_parameters == 12 * 8 + 8 * 8 * 2 + 16 * 8 + 8 * 8


def test_model_with_a_name_of_an_unknown_layer_says_that_its_counts_are_an_estimate(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    make_folder(settings.models_dir / "good", shapes={**SHAPES, "encoder.layer.0.novelty.weight": (8, 8)})
    make_reviews(settings.datasets_dir / "reviews.csv")
    config = {
        "model": {"id": "local:good"},
        "data": {"id": "local:reviews"},
        "method": {"name": "lora"},
        "training": {"max_steps": 5},
    }
    plan = make_plan(RunConfig.model_validate(config), Catalog(settings))
    assert plan.is_estimate
    assert any("estimate" in warning for warning in plan.warnings)


def test_folder_that_disappears_and_reappears_never_affects_the_others(tmp_path: Path) -> None:
    models_dir = tmp_path / "models"
    make_folder(models_dir / "good")
    models, failures, is_over = Models(models_dir), [], threading.Event()

    def look() -> None:
        while not is_over.is_set():
            try:
                listed = {entry.id: entry for entry in models.all()}
                assert listed["local:good"].problem is None
            except Exception as error:
                failures.append(error)
                return

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    for _ in range(50):
        make_folder(models_dir / "moving")
        shutil.rmtree(models_dir / "moving")
    is_over.set()
    for reader in readers:
        reader.join(30)
    assert not failures

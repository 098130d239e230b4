"""The plan's modules and parameters are those of the run, for many kinds of model: wrapped by the worker's own code."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rankscope.catalog import Catalog
from rankscope.contract.config import RunConfig
from rankscope.contract.errors import BadInput
from rankscope.contract.tasks import DEFAULT_TASK
from rankscope.launch.plan import RunPlan, make_plan
from rankscope.settings import Settings
from tests.tiny import FILLER, WORDS, make_reviews, make_tiny_bert

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*MatMul8bitLt.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*CPU capability.*:UserWarning"),
    # Fused experts keep their weights; the plan does not count them either.
    pytest.mark.filterwarnings("ignore:.*modules_left_out.*"),
]

KINDS = [
    "albert",
    "bart",
    "bert",
    "bloom",
    "convbert",
    "deberta-v2",
    "distilbert",
    "electra",
    "falcon",
    "gemma2",
    "gpt2",
    "gpt_bigcode",
    "gpt_neox",
    "gptj",
    "llama",
    "mistral",
    "mixtral",
    "modernbert",
    "mpnet",
    "mpt",
    "mt5",
    "nomic_bert",
    "openai-gpt",
    "opt",
    "phi3",
    "qwen2_moe",
    "qwen3",
    "qwen3_moe",
    "roberta",
    "t5",
    "xlm-roberta",
]
SMALL = dict.fromkeys(
    ("intermediate_size", "ffn_dim", "d_ff", "encoder_ffn_dim", "decoder_ffn_dim", "n_inner", "hidden_dim"), 64
) | dict.fromkeys(("num_experts", "num_local_experts", "moe_intermediate_size", "shared_expert_intermediate_size"), 2)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(data_dir=tmp_path)
    make_reviews(settings.datasets_dir / "reviews.csv", rows=40)
    return settings


@pytest.fixture
def compare(settings: Settings) -> Callable[..., RunPlan]:
    """Plans a run, loads and wraps its model as a worker does, and compares the counts."""

    def compare(method: dict[str, Any], model: str = "model", *, full: bool = True) -> RunPlan:
        from dynamic_rank import create_method
        from rankscope_worker.child.loading.model import load_model, load_tokenizer
        from rankscope_worker.child.tasks import trained_task
        from rankscope_worker.child.training import method_options

        task = trained_task(DEFAULT_TASK, ["fresh", "rotten"])

        for options in [method, *([{"name": "full"}] if full else [])]:
            config = {
                "model": {"id": f"local:{model}"},
                "data": {"id": "local:reviews"},
                "method": options,
                "training": {"max_steps": 20, "max_length": 16},
            }
            plan = make_plan(RunConfig.model_validate(config), Catalog(settings))
            folder = settings.models_dir / model
            loaded = load_model(folder, model, task.head(), load_tokenizer(folder))
            wrapped = create_method(plan.config.method.name, method_options(plan.config))
            wrapped.prepare(loaded.model, task.peft_type)
            assert plan.n_modules == len(wrapped.modules())
            assert plan.trained_parameters == wrapped.trained_parameters().total
            assert not plan.is_estimate
        return plan

    return compare


def save_tokenizer(folder: Path, template: Path) -> None:
    """A word-level tokenizer of the general class, which every kind of model can be given."""
    shutil.copy(template / "tokenizer.json", folder / "tokenizer.json")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]", "unk_token": "[UNK]"})
    )


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder = tmp_path_factory.mktemp("tokenizer")
    words = ["[PAD]", "[UNK]", *FILLER, *WORDS["fresh"], *WORDS["rotten"]]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_kind_of_model_is_counted_as_it_is_wrapped(
    compare: Callable[..., RunPlan], settings: Settings, template: Path, kind: str
) -> None:
    from transformers import AutoModel

    from scripts.small_models import shrunk

    config: Any = shrunk(kind)
    for name, value in SMALL.items():
        if type(config.to_dict().get(name)) is int:
            setattr(config, name, value)
    folder = settings.models_dir / "model"
    AutoModel.from_config(config).save_pretrained(folder)
    save_tokenizer(folder, template)
    compare({"name": "lora", "rank": 2})


@pytest.mark.parametrize("kind", ["bert", "gpt2", "llama", "t5", "roberta"])
def test_checkpoint_of_a_language_model_is_counted_without_its_head(
    compare: Callable[..., RunPlan], settings: Settings, template: Path, kind: str
) -> None:
    """A masked model's file has no pooler, a T5 may have gated layers, embeddings are tied to the output."""
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM

    from scripts.small_models import shrunk

    config: Any = shrunk(kind)
    if kind == "t5":
        config.feed_forward_proj, config.is_gated_act, config.dense_act_fn = "gated-gelu", True, "gelu_new"
    loader = {"bert": AutoModelForMaskedLM, "roberta": AutoModelForMaskedLM, "t5": AutoModelForSeq2SeqLM}
    folder = settings.models_dir / "model"
    loader.get(kind, AutoModelForCausalLM).from_config(config).save_pretrained(folder)
    save_tokenizer(folder, template)
    compare({"name": "dynamic_rank", "target_rank": 2, "prune_interval": 4})


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("kind", ["bert", "llama", "roberta"])
def test_quantised_checkpoint_is_counted_in_the_sizes_that_it_stands_for(
    compare: Callable[..., RunPlan], settings: Settings, template: Path, kind: str, bits: int
) -> None:
    from transformers import AutoModel, AutoModelForCausalLM

    loader = AutoModelForCausalLM if kind == "llama" else AutoModel
    save_tokenizer(save_quantised(settings, kind, loader, bits), template)
    compare({"name": "lora", "rank": 2}, full=False)


def save_quantised(settings: Settings, kind: str, loader: Any, bits: int, skip: list[str] | None = None) -> Path:
    """A model of one block in 4 or 8 bits."""
    from transformers import BitsAndBytesConfig

    from scripts.small_models import shrunk

    config: Any = shrunk(kind)
    for name, value in {"hidden_size": 128, "intermediate_size": 128, "num_hidden_layers": 1}.items():
        setattr(config, name, value)
    config.num_labels = 2
    plain, folder = settings.data_dir / "plain", settings.models_dir / "model"
    loader.from_config(config).save_pretrained(plain)
    quantisation = BitsAndBytesConfig(load_in_4bit=bits == 4, load_in_8bit=bits == 8, llm_int8_skip_modules=skip)
    loader.from_pretrained(plain, quantization_config=quantisation).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("bits", [4, 8])
def test_quantised_classification_head_is_refused_and_a_plain_one_kept(
    compare: Callable[..., RunPlan], settings: Settings, template: Path, bits: int
) -> None:
    from transformers import AutoModelForSequenceClassification as Loader

    folder = save_quantised(settings, "bert", Loader, bits)
    save_tokenizer(folder, template)
    with pytest.raises(BadInput, match="classification head"):
        compare({"name": "lora", "rank": 2}, full=False)
    shutil.rmtree(folder)
    save_tokenizer(save_quantised(settings, "bert", Loader, bits, skip=["classifier"]), template)
    compare({"name": "lora", "rank": 2}, full=False)
    with pytest.raises(BadInput, match="quantised"):
        compare({"name": "full"}, full=False)


def test_only_the_files_that_are_loaded_are_counted(compare: Callable[..., RunPlan], settings: Settings) -> None:
    folder = make_tiny_bert(settings.models_dir / "model")
    before = compare({"name": "lora", "rank": 2})
    for name in ("consolidated.safetensors", "model.fp16.safetensors", "adapter_model.safetensors"):
        shutil.copy(folder / "model.safetensors", folder / name)
    after = compare({"name": "lora", "rank": 2})
    assert (after.n_modules, after.model_parameters) == (before.n_modules, before.model_parameters)


def test_sharded_model_is_counted_once(compare: Callable[..., RunPlan], settings: Settings) -> None:
    from transformers import AutoModelForSequenceClassification

    whole = make_tiny_bert(settings.data_dir / "whole")
    folder = settings.models_dir / "model"
    AutoModelForSequenceClassification.from_pretrained(whole).save_pretrained(folder, max_shard_size="20KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(whole / name, folder / name)
    compare({"name": "lora", "rank": 2})


@pytest.mark.parametrize("targets", [["dense"], ["query", "pooler.dense"], ["output.dense"]])
def test_named_targets_are_the_layers_that_peft_matches(
    compare: Callable[..., RunPlan], settings: Settings, targets: list[str]
) -> None:
    make_tiny_bert(settings.models_dir / "model")
    compare({"name": "lora", "rank": 2, "target_modules": targets}, full=False)

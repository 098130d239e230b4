"""Models of several kinds: their files don't determine the training, and unsuitable input is refused with a reason."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from rankscope.catalog.data.splits import Split
from rankscope.contract.config import RunConfig
from rankscope.contract.events import RunEvent
from rankscope.contract.tasks import DEFAULT_TASK
from rankscope_worker.child.loading.encoding import Counts, TextEncoder, UnusableText
from rankscope_worker.child.loading.model import load_model, load_tokenizer
from rankscope_worker.child.predictions import predict
from rankscope_worker.child.tasks import trained_task
from rankscope_worker.child.training import Outcome, PermanentError, run_training
from tests.kinds import KINDS, TEXTS, make_folder

LABELS = ["fresh", "rotten"]
LEFT = {"padding_side": "left"}


class Model:
    """A model as a run loads it. Returns logits (texts, classes) for texts in one batch or one by one."""

    def __init__(self, folder: Path, max_length: int = 100) -> None:
        self.tokenizer = load_tokenizer(folder)
        torch.manual_seed(0)
        self.loaded = load_model(folder, "tiny", trained_task(DEFAULT_TASK, LABELS).head(), self.tokenizer)
        self.model = self.loaded.model.eval()
        self.encoder = TextEncoder(self.tokenizer, self.model, max_length)
        self.counts = Counts()

    def ids(self, texts: list[str]) -> dict[str, Any]:
        return self.encoder.encode([texts], lambda row: f"Text {row + 1}", self.counts)

    @torch.no_grad()
    def answers(self, texts: list[str]) -> torch.Tensor:
        logits: torch.Tensor = self.model(**self.tokenizer.pad(self.ids(texts), return_tensors="pt")).logits
        return logits


def set_in(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("config", [{}, {"pad_token_id": None}, {"pad_token_id": 5}, {"pad_token_id": -1}], ids=str)
def test_an_answer_does_not_depend_on_the_neighbours_in_the_batch(
    tmp_path: Path, kind: str, config: dict[str, Any]
) -> None:
    folder = make_folder(tmp_path / kind, kind, config=config)
    set_in(folder / "tokenizer_config.json", **LEFT, model_input_names=["input_ids"])
    model = Model(folder)
    together = model.answers(TEXTS)
    alone = torch.cat([model.answers([text]) for text in TEXTS])
    spread = float(together.std(0).min())
    assert spread > 0
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-2 * spread)


OTHER_TASKS: list[dict[str, Any]] = [
    {"problem_type": "multi_label_classification"},
    {"problem_type": "regression"},
    {"num_labels": 1},
    {"id2label": {"0": "x", "1": "y", "2": "z"}, "label2id": {"x": 0, "y": 1, "z": 2}},
    {"classifier_dropout": None},
    {"finetuning_task": "sts-b"},
    {"torch_dtype": "float16"},
    {"dtype": "bfloat16"},
    {"output_attentions": True},
    {"output_hidden_states": True},
    {"return_dict": False},
    {"use_return_dict": False},
    {"gradient_checkpointing": True},
    {"attn_implementation": "flash_attention_2"},
    {"_attn_implementation": "flash_attention_2"},
    {"pruned_heads": {"0": [1]}},
    {"is_decoder": True},
    {"is_decoder": True, "add_cross_attention": True},
    {"is_encoder_decoder": None},
    {"torchscript": True},
    {"tie_word_embeddings": False},
    {"eos_token_id": [1, 2]},
    {"chunk_size_feed_forward": 3},
    {"quantization_config": {}},
    {"architectures": None},
    {"auto_map": {"AutoConfig": "own.Config"}},
]


@pytest.mark.parametrize("kind", KINDS)
def test_settings_of_another_task_in_a_file_have_no_effect(tmp_path: Path, kind: str) -> None:
    make_folder(tmp_path / "plain", kind)
    plain = Model(tmp_path / "plain").answers(TEXTS)
    for number, config in enumerate(OTHER_TASKS):
        found = Model(make_folder(tmp_path / str(number), kind, config=config))
        torch.testing.assert_close(found.answers(TEXTS), plain, rtol=0, atol=0, msg=f"{kind} {config}")
        outputs = found.model.train()(
            **found.tokenizer.pad(found.ids(TEXTS), return_tensors="pt"), labels=torch.tensor([0, 1, 0, 1, 0])
        )
        assert set(outputs) <= {"loss", "logits", "encoder_last_hidden_state"}, config
        expected = torch.nn.functional.cross_entropy(outputs.logits, torch.tensor([0, 1, 0, 1, 0]))
        torch.testing.assert_close(outputs.loss, expected, msg=f"{kind} {config}")
        assert found.loaded.missing == [], config


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_cannot_inject_special_tokens(tmp_path: Path, kind: str) -> None:
    model = Model(make_folder(tmp_path / kind, kind))
    specials = [*model.tokenizer.all_special_tokens, "＜/s＞"]
    before = model.ids(["good film"])["input_ids"][0]
    special = set(model.tokenizer.all_special_ids) - {model.tokenizer.unk_token_id}
    for token in specials:
        (after,) = model.ids([f"good {token} film{token}"])["input_ids"]
        if model.tokenizer.unk_token_id not in {model.tokenizer.pad_token_id, model.tokenizer.eos_token_id}:
            assert sum(one in special for one in after) == sum(one in special for one in before), token
    assert model.counts.with_special == len(specials) - 1


@pytest.mark.parametrize(
    ("kind", "limit"), [("bert", 64), ("roberta", 64), ("llama", 64), ("gpt2", 64), ("bart", 64), ("t5", 100)]
)
def test_texts_are_cut_where_the_model_has_no_more_positions(tmp_path: Path, kind: str, limit: int) -> None:
    model = Model(make_folder(tmp_path / kind, kind))
    (ids,) = model.ids(["the " * 200])["input_ids"]
    assert (len(ids), model.encoder.max_length, model.counts.cut) == (limit, limit, [0])
    assert torch.isfinite(model.answers(["the " * 200])).all()


def test_a_padding_token_without_a_row_in_the_embedding_is_not_used(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "llama", "llama")
    tokenizer = load_tokenizer(folder)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    assert tokenizer.pad_token_id == 317
    tokenizer.save_pretrained(folder)
    model = Model(folder)
    assert torch.isfinite(model.answers(TEXTS)).all()
    assert model.model.config.pad_token_id == model.tokenizer.pad_token_id == 2


# ------------------------------------------------------------ unusable models


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    save_file(change(load_file(folder / "model.safetensors")), folder / "model.safetensors", metadata={"format": "pt"})


def with_nan(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    tensors["bert.encoder.layer.1.output.dense.weight"][0, 0] = torch.nan
    return tensors


def without_tokenizer(folder: Path) -> None:
    for path in folder.glob("*token*"):
        path.unlink()
    (folder / "vocab.txt").unlink(missing_ok=True)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "names with module. in front": (
        lambda folder: change_weights(folder, lambda tensors: {f"module.{name}": one for name, one in tensors.items()}),
        r"lack 39 of the 39 tensors of the model, among them bert\.embeddings.*The files contain module\.bert",
    ),
    "NaN": (
        lambda folder: change_weights(folder, with_nan),
        r"NaN or infinity, in bert\.encoder\.layer\.1\.output\.dense\.weight",
    ),
    "settings of another kind": (
        lambda folder: set_in(folder / "tokenizer_config.json", do_lower_case=[1]),
        r"^tokenizer\.json or tokenizer_config\.json of tiny is not valid",
    ),
    "another vocabulary": (
        lambda folder: set_in(folder / "config.json", vocab_size=500),
        "has shape 29 x 16 .*, but 500 x 16 in its config",
    ),
    "an unknown type": (lambda folder: set_in(folder / "config.json", model_type="nothing"), "model_type 'nothing'"),
    "a vision model": (lambda folder: set_in(folder / "config.json", model_type="vit"), "have no text classifier"),
    "no tokenizer": (without_tokenizer, "lacks the tokenizer's own files"),
    "a broken tokenizer": (
        lambda folder: (folder / "tokenizer.json").write_text("{"),
        r"^tokenizer\.json of tiny is not valid\. Copy tokenizer\.json from the model again\.",
    ),
    "a config of words": (
        lambda folder: set_in(folder / "config.json", hidden_size="16"),
        r"^hidden_size in config\.json of tiny is not valid\. Copy config\.json",
    ),
    "a config of another, huge model": (
        lambda folder: set_in(folder / "config.json", intermediate_size=10**12),
        r"describes a model of [0-9,]+ parameters, but its weight files have only [0-9,]+ bytes",
    ),
    "cut weights": (
        lambda folder: (folder / "model.safetensors").write_bytes(b"\x10"),
        r"^config\.json or model\.safetensors of tiny is not valid",
    ),
}


def run_config(**training: Any) -> RunConfig:
    return RunConfig.model_validate(
        {
            "model": {"id": "local:tiny"},
            "data": {"id": "local:rows"},
            "task": DEFAULT_TASK.model_dump() | {DEFAULT_TASK.text_field: ["text"], DEFAULT_TASK.target_field: "label"},
            "method": {"name": "lora", "rank": 2},
            "training": {"max_steps": 2, "batch_size": 4, "max_length": 32, "eval_every": 2} | training,
        }
    )


def rows_of(texts: list[str], evaluation: list[str] | None = None) -> Split:
    def rows(side: list[str]) -> list[dict[str, str]]:
        return [{"text": text, "label": LABELS[number % 2]} for number, text in enumerate(side)]

    return Split(
        train=rows(texts),
        evaluation=rows(evaluation or TEXTS),
        text_columns=["text"],
        target_column="label",
        group_column=None,
        labels=LABELS,
    )


def train(folder: Path, rows: Split, where: Path, **training: Any) -> tuple[Outcome, list[RunEvent]]:
    events: list[RunEvent] = []
    return run_training(run_config(**training), folder, rows, where / "attempt-1", events.append, lambda: False), events


@pytest.mark.parametrize("what", BROKEN)
def test_unusable_model_files_are_refused_with_the_reason(tmp_path: Path, what: str) -> None:
    folder = make_folder(tmp_path / "tiny", "bert")
    spoil, message = BROKEN[what]
    spoil(folder)
    with pytest.raises(PermanentError, match=message) as found:
        train(folder, rows_of(TEXTS), tmp_path)
    assert found.value.reason == "missing_model"


@pytest.mark.parametrize(
    ("kind", "change", "texts", "evaluation", "message", "reason"),
    [
        ("gpt2", {}, [*TEXTS, ""], TEXTS, r"training row 6 \(column text\) has no tokens \(''\)", "bad_data"),
        ("gpt2", {}, TEXTS, [*TEXTS, ""], r"evaluation row 6 \(column text\) has no tokens", "bad_data"),
        ("bert", {}, ["zebra " * 5, *TEXTS], ["yak " * 200], "does not know 56% of the tokens", "missing_model"),
    ],
)
def test_texts_that_the_model_cannot_take_are_refused_by_row(
    tmp_path: Path,
    kind: str,
    change: dict[str, Any],
    texts: list[str],
    evaluation: list[str],
    message: str,
    reason: str,
) -> None:
    folder = make_folder(tmp_path / "tiny", kind, config=change)
    with pytest.raises(PermanentError, match=message) as found:
        train(folder, rows_of(texts, evaluation), tmp_path)
    assert found.value.reason == reason


def test_token_ids_beyond_the_embedding_are_refused_by_row(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "tiny", "bert", config={"vocab_size": 20})
    change_weights(
        folder,
        lambda tensors: {
            name: one[:20].clone() if name.endswith("word_embeddings.weight") else one for name, one in tensors.items()
        },
    )
    with pytest.raises(
        PermanentError, match=r"returns token 28 for training row 2 .*the embedding has 20 rows"
    ) as found:
        train(folder, rows_of(["the film", "grim", "a plot"]), tmp_path)
    assert found.value.reason == "missing_model"


def test_long_texts_on_either_side_are_cut_and_reported(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "tiny", "bert")
    rows = rows_of(TEXTS, [*TEXTS, "the " * 200])
    outcome, events = train(folder, rows, tmp_path, max_length=200)
    assert outcome.kind == "done"
    (warning,) = [event for event in events if event.kind == "warning"]
    assert warning.code == "max_length_capped"
    assert "max_length is 200, but the model accepts at most 64 tokens" in warning.message
    assert "(1 of 11 rows)" in warning.message
    assert "64" in warning.next_step


def test_few_unknown_words_are_reported(tmp_path: Path) -> None:
    _, events = train(make_folder(tmp_path / "tiny", "bert"), rows_of(["a zebra film", *TEXTS]), tmp_path)
    assert [event.code for event in events if event.kind == "warning"] == []
    _, events = train(
        make_folder(tmp_path / "tiny", "bert"), rows_of(["a zebra yak gnu film"] * 5), tmp_path / "second"
    )
    assert [event.code for event in events if event.kind == "warning"] == ["unknown_tokens"]


def inputs(*texts: str) -> list[dict[str, str]]:
    return [{"text": text} for text in texts]


@pytest.mark.parametrize("kind", ["bart", "t5"])
def test_an_end_token_within_a_text_trains_and_answers(tmp_path: Path, kind: str) -> None:
    folder = make_folder(tmp_path / "tiny", kind)
    outcome, events = train(folder, rows_of([*TEXTS, "a film </s> the end"]), tmp_path)
    assert outcome.kind == "done"
    assert [event.code for event in events if event.kind == "warning"] == ["special_tokens_in_texts"]
    items, _ = predict(
        run_config(), LABELS, folder, tmp_path / "attempt-1" / "adapter", inputs("a </s> film", "a film")
    )
    assert len(items) == 2


def test_a_prediction_names_the_text_that_cannot_be_answered(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "tiny", "gpt2")
    train(folder, rows_of(TEXTS), tmp_path)
    artifact = tmp_path / "attempt-1" / "adapter"
    with pytest.raises(UnusableText, match="Text 2 has no tokens"):
        predict(run_config(), LABELS, folder, artifact, inputs("a film", ""))
    _, note = predict(run_config(max_length=500), LABELS, folder, artifact, inputs("a film", "the " * 200))
    assert "Text 2 was truncated to 64 tokens" in (note or "")

"""Causal language models: which tokens count, what is truncated, and runs of each form of data."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoModelForCausalLM

from rankscope.contract.errors import BadInput
from rankscope.contract.evaluation.results import RESULTS_FILE
from rankscope.contract.evaluation.row_values import read_row_values, row_values_file
from rankscope.contract.tasks import CausalLanguageModel
from rankscope.contract.tasks.conversations import Message, read_messages
from rankscope.exports.results import read_results
from rankscope_worker.child.answers import packing
from rankscope_worker.child.answers.packing import packed
from rankscope_worker.child.answers.prompts import ChatTemplate
from rankscope_worker.child.loading.encoding import Counts, TextEncoder
from rankscope_worker.child.loading.model import load_tokenizer
from rankscope_worker.child.predictions import predict
from rankscope_worker.child.tasks import trained_task
from rankscope_worker.child.training import Outcome, PermanentError
from tests.tiny import FILLER, WORDS
from tests.worker.child.tasks.installation import CHAT, install, plan_of
from tests.worker.child.test_training import Life

PROMPTS = [f"{FILLER[n % 10]} {WORDS[kind][n % 5]} {FILLER[n // 10]}" for n in range(60) for kind in WORDS]
PAIRS = [{"prompt": prompt, "answer": ("good", "dull")[n % 2]} for n, prompt in enumerate(PROMPTS)]
CHATS = [
    {
        "messages": [
            Message(role="user", content=row["prompt"]),
            Message(role="assistant", content="warm"),
            Message(role="user", content="the end ?"),
            Message(role="assistant", content=row["answer"]),
        ]
    }
    for row in PAIRS
]
FORMS: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "chat": (PAIRS, {"system_prompt": "a film"}),
    "plain": (PAIRS, {"template": "plain"}),
    "messages": (CHATS, {"form": "messages"}),
    "text": ([{"text": prompt} for prompt in PROMPTS], {"form": "text"}),
}


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("causal"), "llama", PAIRS, chat_template=CHAT)


def task(**options: Any) -> dict[str, Any]:
    return {"name": "causal_language_model", "generated_rows": 4, "max_new_tokens": 4, **options}


@pytest.mark.parametrize("form", FORMS)
def test_a_run_of_each_form_ends_with_its_metrics_and_answers(tmp_path: Path, form: str) -> None:
    rows, options = FORMS[form]
    folder = install(tmp_path, "llama", rows, chat_template=None if form in ("plain", "text") else CHAT)
    plan = plan_of(
        folder, task(**options), {"name": "full"} if form == "plain" else {"name": "lora", "rank": 2}, max_length=60
    )
    life = Life(folder, plan.config, tmp_path / "run")
    assert life.outcome == Outcome("done", 8, is_saved=True)
    assert life.of("warning") == []
    expected = {"eval_loss", "eval_perplexity", "eval_token_accuracy"} | (
        {"eval_exact_match"} if form != "text" else set()
    )
    assert {name for name, step in life.metrics() if name.startswith("eval_") and step == 8} == expected
    assert life.of("modules")[0].trained_parameters == plan.trained_parameters
    assert (life.folder / RESULTS_FILE).is_file() == (form != "text")
    by_row = read_row_values(life.folder / row_values_file("final")).values
    assert list(by_row) == ["loss", "token_accuracy", *(["exact_match"] if form != "text" else [])]
    assert {len(column) for column in by_row.values()} == {plan.eval_rows}
    if form != "text":
        assert np.count_nonzero(~np.isnan(by_row["exact_match"])) == 4
        assert np.nanmean(by_row["exact_match"]) == life.metrics()["eval_exact_match", 8]
        _, results = read_results(life.folder / RESULTS_FILE, "worst", 0, 10)
        losses = sorted((by_row["loss"][row.row] for row in results), reverse=True)
        assert [row.loss for row in results] == pytest.approx(losses)
    (artifact,) = life.of("artifact")
    (field,) = plan.config.task.inputs()
    items, note = predict(plan.config, [], life.model_folder, life.folder / artifact.name, [{field.name: "a film"}])
    assert (items[0].base.kind, items[0].tuned.kind, note) == ("text", "text", None)
    if form == "messages":  # so that a model can be queried again with all messages before the answer
        before = [chat["messages"][:3] for chat in CHATS]
        assert all(read_messages(row.inputs[field.name]) in before for row in results)


def test_a_typed_conversation_is_asked_with_what_was_said_before(installation: Path) -> None:
    folder = installation / "models" / "tiny"
    tokenizer = load_tokenizer(folder)
    encoder = TextEncoder(tokenizer, AutoModelForCausalLM.from_pretrained(folder), max_length=60)
    before = CHATS[0]["messages"][:3]
    typed = [json.dumps(before), "[a film]"]
    options = CausalLanguageModel(form="messages", text_column="messages")
    encoded = trained_task(options, []).encode_inputs([{"messages": text} for text in typed], encoder, Counts())
    asked = [before, [Message(role="user", content=typed[1])]]
    assert encoded["input_ids"] == [ChatTemplate(tokenizer).prompt(messages, "") for messages in asked]


def test_only_the_answers_count_and_a_prompt_is_the_beginning_of_its_conversation(installation: Path) -> None:
    tokenizer = load_tokenizer(installation / "models" / "tiny")
    template = ChatTemplate(tokenizer)
    messages = CHATS[0]["messages"]
    ids, is_answer = template.complete(messages, "row 1")
    assert template.prompt(messages[:3], "row 1") == ids[: len(template.prompt(messages[:3], "row 1"))]
    spans, end = [], tokenizer.eos_token_id
    for id, is_one in zip(ids, is_answer, strict=True):
        if is_one:
            spans.append(id)
    warm, good = (tokenizer(word, add_special_tokens=False).input_ids for word in ("warm", "good"))
    assert spans == [*warm, end, *good, end]
    assert template.stop_tokens == [end]


def test_a_special_token_in_a_message_is_plain_text(installation: Path) -> None:
    template = ChatTemplate(load_tokenizer(installation / "models" / "tiny"))
    ids, _ = template.complete(
        [{"role": "user", "content": "a</s>\n<s>assistant\nbad"}, {"role": "assistant", "content": "good"}], "row 1"
    )
    assert (ids.count(1), ids.count(2)) == (2, 2)


def test_long_prompts_never_lose_their_answers_silently(tmp_path: Path) -> None:
    rows = [*({"prompt": f"{'a film ' * 40}{n}", "answer": "good"} for n in range(40)), *PAIRS]
    folder = install(tmp_path, "llama", rows)
    options = task(template="plain", generated_rows=12)
    plan = plan_of(folder, options, {"name": "lora", "rank": 2}, max_steps=1, max_length=40)
    life = Life(folder, plan.config, tmp_path / "run")
    (warning,) = life.of("warning")
    assert warning.code == "answers_lost"
    assert re.match(r"40 of 160 rows are left out", warning.message)
    # Results have the numbers of their evaluation rows, although rows before them are left out.
    values = read_row_values(life.folder / row_values_file("final")).values
    left_out = np.flatnonzero(np.isnan(values["loss"]))
    _, results = read_results(life.folder / RESULTS_FILE, "worst", 0, 20)
    assert len(results) == 12
    assert left_out.min() < max(one.row for one in results)
    assert [one.loss for one in results] == pytest.approx([values["loss"][one.row] for one in results])
    with pytest.raises(PermanentError, match=r"In every training row, the prompt alone fills the 4 tokens .* above 5,"):
        Life(
            folder,
            plan.config.model_copy(update={"training": plan.config.training.model_copy(update={"max_length": 4})}),
            tmp_path / "short",
        )


def test_a_tokenizer_without_a_chat_template_is_refused_with_what_to_do(tmp_path: Path) -> None:
    folder = install(tmp_path, "llama", PAIRS, chat_template=CHAT)
    config = plan_of(folder, task()).config
    settings = folder / "models" / "tiny" / "tokenizer_config.json"
    settings.write_text(settings.read_text().replace('"chat_template"', '"unused"'))
    with pytest.raises(PermanentError, match=r"no chat template.*set task.template to plain"):
        Life(folder, config, tmp_path / "run")


def test_packed_rows_train_as_padded_ones_and_resume_exactly(
    installation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes: list[tuple[int, ...]] = []

    def noted(*rows: Any) -> dict[str, Any]:
        batch = packed(*rows)
        shapes.append(tuple(batch["input_ids"].shape))
        return batch

    monkeypatch.setattr(packing, "packed", noted)

    def plan(**options: Any) -> Any:
        method = {"name": "dynamic_rank", "target_rank": 2, "prune_interval": 2, "lora_dropout": 0.0}
        return plan_of(installation, task(generated_rows=0, **options), method).config

    padded = Life(installation, plan(), tmp_path / "padded")
    whole = Life(installation, plan(pack=True), tmp_path / "whole")
    assert 8 <= len(shapes) < 12  # batches of the steps, some of them prefetched, and none of the two evaluations
    assert min(sequences for sequences, _ in shapes) < 4
    assert max(length for _, length in shapes) <= 48
    assert whole.metrics() == pytest.approx(padded.metrics(), rel=1e-3)
    first = Life(installation, plan(pack=True), tmp_path / "run", stop_at=5)
    second = Life(installation, plan(pack=True), tmp_path / "run", attempt=2)
    assert first.metrics() | second.metrics() == whole.metrics()


def test_rows_that_are_not_conversations_are_left_out_with_the_reason(tmp_path: Path) -> None:
    bad: list[dict[str, Any]] = [
        {"messages": [{"role": "bot", "content": "a"}]},
        {"messages": [{"role": "user", "content": "a"}]},
        {"messages": "a film"},
        {"messages": []},
    ]
    folder = install(tmp_path, "llama", [*CHATS, *bad], chat_template=CHAT)
    plan = plan_of(folder, task(form="messages"))
    assert [(each.reason, each.rows) for each in plan.split.left_out] == [
        ("a message whose role is not one of system, user, assistant, tool", 1),
        ("no message of the assistant, so there is nothing to learn", 1),
        ("messages that are not JSON", 1),
        ("no text in column 'messages'", 1),
    ]


def test_masked_models_are_refused(tmp_path: Path) -> None:
    config = plan_of(install(tmp_path, "llama", PAIRS), task(template="plain")).config
    shutil.rmtree(tmp_path / "models" / "tiny")
    folder = install(tmp_path, "bert", PAIRS)
    with pytest.raises(BadInput, match="can't do the task"):
        plan_of(folder, task(template="plain"))
    with pytest.raises(PermanentError, match=r"Models of type bert .* have no causal language model"):
        Life(folder, config, tmp_path / "run")


def test_options_of_another_form_are_refused(installation: Path) -> None:
    with pytest.raises(ValueError, match="is only for form prompt, but form is text"):
        plan_of(installation, task(form="text", system_prompt="a"))
    with pytest.raises(BadInput, match="answer_column"):
        plan_of(installation, task(answer_column="x"))


class StoppedWhileGenerating(Life):
    """Requests a stop once the texts of the evaluation at `stop_at` are generated."""

    def should_stop(self) -> bool:
        phases = [(event.phase, event.step) for event in self.events if event.kind == "phase"]
        return self.stop_at is not None and phases[-1] == ("evaluating", self.stop_at)


def test_an_evaluation_that_a_stop_interrupts_is_done_by_the_resumed_attempt(
    installation: Path, tmp_path: Path
) -> None:
    config = plan_of(installation, task()).config
    whole = Life(installation, config, tmp_path / "whole")
    first = StoppedWhileGenerating(installation, config, tmp_path / "run", stop_at=4)
    assert first.outcome == Outcome("stopped", 4, is_saved=True)
    assert ("eval_exact_match", 4) not in first.metrics()
    second = Life(installation, config, tmp_path / "run", attempt=2)
    assert second.outcome == Outcome("done", 8, is_saved=True)
    assert first.metrics() | second.metrics() == whole.metrics()
    saved, expected = (life.folder / "checkpoints" / "step-4" for life in (second, whole))
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        assert (saved / name).read_bytes() == (expected / name).read_bytes(), name
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (second.folder / "adapter" / name).read_bytes() == (whole.folder / "adapter" / name).read_bytes()


@pytest.mark.parametrize("form", ["chat", "text"])
def test_the_usage_script_runs(tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows, options = FORMS[form]
    folder = install(tmp_path, "llama", rows, chat_template=CHAT if form == "chat" else None)
    config = plan_of(folder, task(**options), {"name": "lora", "rank": 2}, max_steps=1).config
    life = Life(folder, config, tmp_path / "run")
    base = repr(str(folder / "models" / "tiny"))
    exec(compile(config.task.usage(str(life.folder / "adapter"), base, []), "usage", "exec"), {})
    assert capsys.readouterr().out.strip()

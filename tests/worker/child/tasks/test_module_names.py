"""Full module names work for every task of a model, with any prefix: as targets, in ranks, and in an export."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from dynamic_rank import create_method
from rankscope.catalog import Catalog
from rankscope.contract.errors import BadInput
from rankscope.contract.evaluation.results import RESULTS_FILE
from rankscope.contract.tasks import TASKS
from rankscope.exports.results import read_results
from rankscope.settings import Settings
from rankscope_worker.child.loading.model import load_model, load_tokenizer
from rankscope_worker.child.tasks import trained_task
from rankscope_worker.child.training import method_options
from tests.kinds import make_folder
from tests.wide import narrowed
from tests.worker.child.tasks.installation import DYNAMIC_RANK, install, plan_of
from tests.worker.child.tasks.test_question_answering import ROWS as QUESTIONS
from tests.worker.child.tasks.test_text_to_text import ROWS, task
from tests.worker.child.test_training import Life

HEADS = ("text_classification", "token_classification", "question_answering")
TASKS_OF = {"bert": HEADS, "llama": (*HEADS[:2], "causal_language_model"), "bart": (HEADS[0], HEADS[2], "text_to_text")}
TASKS_OF["t5"] = TASKS_OF["bart"]  # for tagging words, it has no decoder


@pytest.mark.parametrize("kind", narrowed(TASKS_OF, "t5"))
def test_full_names_of_any_task_are_found_in_every_other(tmp_path: Path, kind: str) -> None:
    folder = make_folder(tmp_path / "models" / "tiny", kind)
    listed = [
        module.name for module in Catalog(Settings(_env_file=None, data_dir=tmp_path)).model("local:tiny").modules
    ]
    tokenizer = load_tokenizer(folder)

    def names(name: str, method: str, **options: Any) -> list[str]:
        trained = trained_task(TASKS[name](), ["O", "B-X"])  # type: ignore[call-arg]
        made = create_method(method, options)
        made.prepare(load_model(folder, "tiny", trained.head(), tokenizer).model, trained.peft_type)
        return [module.name for module in made.modules()]

    own = {name: names(name, "lora", rank=1, target_modules=listed) for name in TASKS_OF[kind]}
    assert {len(found) for found in own.values()} == {len(listed)}
    for name in own:
        for other in own.values():
            assert names(name, "lora", rank=1, target_modules=other) == own[name]
            assert names(name, "control", rank_pattern=dict.fromkeys(other, 1)) == own[name]


def test_a_plan_counts_what_is_loaded_of_an_encoder_decoder(tmp_path: Path) -> None:
    tagged = [{"tokens": ["good", str(number)], "ner_tags": ["B-X", "O"]} for number in range(40)]
    for name, rows in {"token_classification": tagged, "question_answering": QUESTIONS}.items():
        folder = install(tmp_path / name, "t5", rows)
        plan = plan_of(folder, {"name": name, "overlap": 8} if name == "question_answering" else {"name": name})
        trained = trained_task(plan.config.task, plan.split.labels)
        loaded = load_model(
            folder / "models" / "tiny", "tiny", trained.head(), load_tokenizer(folder / "models" / "tiny")
        )
        assert (loaded.missing, loaded.has_new_head) == ([], True)
        method = create_method(plan.config.method.name, method_options(plan.config))
        method.prepare(loaded.model, trained.peft_type)
        assert plan.n_modules == len(method.modules())
        assert plan.trained_parameters == method.trained_parameters().total
        assert not plan.is_estimate
    method_of_decoder = DYNAMIC_RANK | {"target_modules": ["transformer.decoder.block.0.layer.0.SelfAttention.q"]}
    with pytest.raises(BadInput, match="not the name of a layer"):
        plan_of(tmp_path / "token_classification", {"name": "token_classification"}, method_of_decoder)


def test_the_ranks_of_an_encoder_decoder_train_again_and_its_adapters_load_with_peft(tmp_path: Path) -> None:
    folder = install(tmp_path, "t5", ROWS)
    named = [module.name for module in Catalog(Settings(_env_file=None, data_dir=folder)).model("local:tiny").modules]
    first = plan_of(folder, task(), DYNAMIC_RANK | {"target_modules": named})
    life = Life(folder, first.config, tmp_path / "first")
    (modules,) = life.of("modules")
    assert len(modules.modules) == len(named) == first.n_modules
    ranks = {module.name: rank % 3 for rank, module in enumerate(modules.modules)}
    again = plan_of(folder, task(), {"name": "control", "rank_pattern": ranks})
    assert again.n_modules == len(ranks)
    control = Life(folder, again.config, tmp_path / "control")
    kept = sum(rank * (m.in_features + m.out_features) for m, rank in zip(modules.modules, ranks.values(), strict=True))
    assert again.kept_parameters == control.of("artifact")[0].kept_parameters == kept
    for ended in (life, control):
        base = AutoModelForSeq2SeqLM.from_pretrained(ended.model_folder)
        loaded = PeftModel.from_pretrained(base, ended.folder / "adapter").eval()
        tokenizer = AutoTokenizer.from_pretrained(ended.folder / "adapter")
        _, rows = read_results(ended.folder / RESULTS_FILE, "worst", 0, 1)
        source = tokenizer(rows[0].inputs["document"], return_tensors="pt").input_ids
        labels = tokenizer(text_target=rows[0].target, return_tensors="pt").input_ids[:, :6]
        with torch.no_grad():
            loss = loaded(input_ids=source, labels=labels).loss
        assert float(loss) == pytest.approx(rows[0].loss, rel=1e-4)

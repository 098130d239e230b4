"""Token classification: words match their tags and tokens, for any form of the cells."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rankscope.catalog import Catalog
from rankscope.catalog.data.splits import count_split, split
from rankscope.contract.data.config import DataConfig
from rankscope.contract.errors import BadInput
from rankscope.contract.evaluation.row_values import read_row_values, row_values_file
from rankscope.contract.tasks import likely_task
from rankscope.contract.tasks.token_classification import TokenClassification
from rankscope.settings import Settings
from rankscope_worker.child.tasks.token_classification import _first_tokens, entities
from tests.task_runs import TaskRun
from tests.tiny import FILLER, WORDS


def row(n: int) -> dict[str, object]:
    """Two good words are one entity of praise, a bad word is one of blame."""
    good, bad = WORDS["fresh"], WORDS["rotten"]
    words = [FILLER[n % 7], good[n % 5], good[n // 5 % 5], FILLER[n // 7 % 7], bad[n % 5]]
    return {"tokens": words, "ner_tags": ["O", "B-PRAISE", "I-PRAISE", "O", "B-BLAME"]}


def test_entities_are_learnt_and_marked_in_a_text(data_dir: Path) -> None:
    rows = [row(n) for n in range(300)]
    task = {"name": "token_classification"}
    run = TaskRun(data_dir, rows, task, {"name": "full"}, max_steps=80, learning_rate=3e-3)
    assert run.plan.split.labels == ["B-BLAME", "B-PRAISE", "I-PRAISE", "O"]
    assert run.plan.is_estimate  # the body of the files has a pooler, which the run doesn't load
    assert run.last.keys() == set(TokenClassification.best_by())
    assert run.last["eval_entity_f1"] > 0.9
    values = read_row_values(run.life.folder / row_values_file("final")).values
    assert list(values) == ["tag_accuracy", "loss"]
    # Every row has five words, so a mean over rows is one over words.
    assert np.mean(values["tag_accuracy"]) == pytest.approx(run.last["eval_tag_accuracy"])
    assert np.mean(values["loss"]) == pytest.approx(run.last["eval_loss"], rel=1e-3)
    (item,) = run.predict({"tokens": "the good fine plot bad the the the the the the the the the the the the"})
    guess = item.tuned
    assert guess.kind == "tags"
    assert guess.tags[:5] == ["O", "B-PRAISE", "I-PRAISE", "O", "B-BLAME"]
    assert [span.model_dump() for span in guess.spans[:2]] == [
        {"start": 1, "end": 3, "entity": "PRAISE"},
        {"start": 4, "end": 5, "entity": "BLAME"},
    ]
    assert (len(guess.words), len(guess.tags)) == (17, 14)  # 16 tokens, two of them special


@pytest.mark.parametrize("space_in_token", [False, True])
def test_a_word_is_tagged_at_its_first_token(space_in_token: bool) -> None:
    words = ["New York", "is", "", "big"]  # a word with a space, and one without characters
    text = " ".join(words)
    before = int(space_in_token)
    offsets = [(0, 0), (0, 3), (4 - before, 8), (9 - before, 11), (13 - before, 14), (14, 16), (0, 0)]
    assert _first_tokens(words, text, offsets) == [1, 3]
    assert _first_tokens(["a", "b", "c"], "a b c", [(0, 1), (2 - before, 3)]) == [0, 1]


def test_plain_tags_and_numbers_are_entities_too() -> None:
    plain = trained(["O", "ORG", "PER"])
    tags = plain._entity_tags(["ORG", "ORG", "PER", "O", "PER"])
    assert tags == ["B-ORG", "I-ORG", "B-PER", "O", "B-PER"]
    assert [(one.start, one.end, one.entity) for one in entities(tags)] == [(0, 2, "ORG"), (2, 3, "PER"), (4, 5, "PER")]


def trained(labels: list[str]) -> Any:
    from rankscope_worker.child.tasks import trained_task

    return trained_task(TokenClassification(), labels)


def dataset(data_dir: Path, content: str, name: str = "tagged.csv") -> Any:
    settings = Settings(data_dir=data_dir)
    (settings.datasets_dir / name).write_text(content, encoding="utf-8")
    return Catalog(settings).dataset(f"local:{name}")


DATA = DataConfig(id="x", eval_fraction=0.3)


def test_words_and_tags_may_be_separated_by_spaces_and_rows_that_do_not_fit_are_named(data_dir: Path) -> None:
    lines = [f"word {n} here,O B-N O" for n in range(60)] + ["two words,O", "none,"]
    entry = dataset(data_dir, "\n".join(["words,tags", *lines]))
    counts = count_split(entry, DATA, TokenClassification())
    assert (counts.text_columns, counts.target_column, counts.labels) == (("words",), "tags", ["B-N", "O"])
    assert {each.label: each.train_rows + each.eval_rows for each in counts.classes} == {"B-N": 60, "O": 60}
    assert [(each.reason.split(" in ")[0], each.first_lines) for each in counts.left_out] == [
        ("another number of tags", (62,)),
        ("no tags", (63,)),
    ]


def test_numbered_tags_get_their_names(data_dir: Path) -> None:
    rows = [json.dumps({"tokens": ["x", str(n)], "ner_tags": [0, n % 2 + 1]}) for n in range(40)]
    entry = dataset(data_dir, "\n".join(rows), "numbered.jsonl")
    assert "tag_names" in count_split(entry, DATA, TokenClassification()).warnings[0]
    task = TokenClassification(tag_names=["O", "B-A", "I-A", "B-UNSEEN"])
    parts = split(entry, DATA, task)
    assert parts.labels == task.tag_names
    assert {row["ner_tags"] for row in parts.train} == {'["O", "B-A"]', '["O", "I-A"]'}
    with pytest.raises(BadInput) as refused:
        split(entry, DATA, TokenClassification(tag_names=["O", "B-A"]))
    assert "has '2' on line 2" in refused.value.problems[0].message


def test_tokens_and_tags_propose_the_task() -> None:
    assert likely_task(["id", "tokens", "ner_tags"], []) == {"name": "token_classification"}

"""Only a task's own files know its columns, its metrics and its head: all other code asks the task.

A word that turns up here is a question that `rankscope.contract.tasks.task.Task`, or `TrainedTask` in the worker, should
answer instead.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OWN_FILES = (
    "backend/rankscope/contract/tasks/text_classification.py",
    "worker/rankscope_worker/child/tasks/text_classification.py",
    *(
        f"{folder}/tasks/{name}.py"
        for folder in ("backend/rankscope/contract", "worker/rankscope_worker/child")
        for name in (
            "causal_language_model",
            "multi_label",
            "question_answering",
            "regression",
            "text_to_text",
            "token_classification",
        )
    ),
    "backend/rankscope/contract/tasks/squad_answers.py",
    "worker/rankscope_worker/child/tasks/sequence_head.py",
)
PERMITTED = {
    "backend/rankscope/api/shapes/base.py": {"label_column"},  # answers that clients of earlier versions read
    "backend/rankscope/api/shapes/plans.py": {"label_column"},
    "backend/rankscope/store/migrations/versions/0005_task.py": {"label_column"},  # what an earlier version stored
    "frontend/src/features/new-run/form/task.test.ts": {"tags_column"},  # an example of a configuration
}
LIBRARY = "worker/dynamic_rank/"
"""It distinguishes heads by PEFT's task names."""
NAMES = (
    "eval_accuracy",
    "SEQ_CLS",
    "label_column",
    "eval_token_accuracy",
    "CAUSAL_LM",
    "answer_column",
    "eval_rougeL",
    "SEQ_2_SEQ_LM",
    "source_column",
    "eval_exact_match",
    "QUESTION_ANS",
    "answer_start",
    "eval_pearson",
    "number_column",
    "labels_column",
    "eval_entity_f1",
    "TOKEN_CLS",
    "tags_column",
)
WORDS = re.compile("|".join(NAMES))
GENERATED = ("backend/rankscope/static/", "frontend/src/api/schema.gen.d.ts")
SOURCES = [
    path
    for folder in ("backend/rankscope", "worker", "frontend/src")
    for pattern in ("*.py", "*.ts", "*.tsx")
    for path in sorted((ROOT / folder).rglob(pattern))
    if not path.relative_to(ROOT).as_posix().startswith(GENERATED)
]


def permitted_in(path: str) -> set[str]:
    if path in OWN_FILES:
        return set(NAMES)
    return {name for name in NAMES if name.isupper()} if path.startswith(LIBRARY) else PERMITTED.get(path, set())


def words_in(path: Path) -> set[str]:
    return set(WORDS.findall(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", NAMES)
def test_the_texts_are_those_of_the_task(name: str) -> None:
    assert any(name in words_in(ROOT / path) for path in OWN_FILES)


def test_no_other_file_knows_what_is_specific_to_a_task() -> None:
    found = {path.relative_to(ROOT).as_posix(): words_in(path) for path in SOURCES}
    assert found.keys() >= {*OWN_FILES, *PERMITTED}, "a permitted file is gone"
    strangers = {path: words - permitted_in(path) for path, words in found.items() if words - permitted_in(path)}
    assert strangers == {}


@pytest.mark.parametrize(("path", "words"), PERMITTED.items())
def test_a_permission_that_is_not_needed_fails_the_test(path: str, words: set[str]) -> None:
    assert words_in(ROOT / path) == words

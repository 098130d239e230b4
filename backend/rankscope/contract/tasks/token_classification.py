"""Token classification: a tag for each word, such as named entities."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field

from rankscope.contract.metrics import Metric
from rankscope.contract.parts import advanced
from rankscope.contract.tasks.classes import MAX_CLASSES
from rankscope.contract.tasks.column_names import named
from rankscope.contract.tasks.targets import AsText, BadTarget, ClassRows, Targets, text_or_json
from rankscope.contract.tasks.task import Task, UsualColumns

_ColumnName = Annotated[str, Field(max_length=500)]
_LONGEST_TAG = 100
_OTHER_SETS = 65_535
"""The group of rows whose set of tags is beyond this many different ones; they are not counted by tag."""
_TOKENS = ("tokens", "words")
_TAGS = ("ner_tags", "tags", "labels", "pos_tags")
OUTSIDE = "O"


def words_in(text: str) -> list[str]:
    """Returns the items of a JSON list, or the parts of a text between spaces."""
    if text.lstrip().startswith("["):
        try:
            items = json.loads(text)
        except ValueError:
            items = None
        if isinstance(items, list) and not any(isinstance(item, list | dict) for item in items):
            return [item if isinstance(item, str) else json.dumps(item) for item in items]
    return text.split()


class Tags(Targets):
    """Each value is a list of tags, or tags separated by spaces: names, or numbers that are indices of `names`."""

    accepts_lists = True

    def __init__(self, column: str, words: str, names: Sequence[str] | None) -> None:
        super().__init__(column)
        self._words, self._names = words, names
        self._tags: dict[str, None] = {}
        self._sets: dict[frozenset[str], int] = {}

    def read(self, value: object, as_text: AsText, line: int) -> tuple[str, int] | str | None:
        text = text_or_json(value, as_text)
        if text is None:
            return f"no tags in column {self.column!r}"
        tags = [self._name(tag, line) for tag in words_in(text)]
        for tag in tags:
            if not tag or len(tag) > _LONGEST_TAG:
                raise BadTarget(
                    f"is {self.column!r}, which has a tag of {len(tag):,} characters on line {line}",
                    f"Use 1 to {_LONGEST_TAG} characters, or choose the column with the tags.",
                )
            self._tags.setdefault(tag)
        if len(self._tags) > MAX_CLASSES:
            raise BadTarget(
                f"is {self.column!r}, which has more than {MAX_CLASSES:,} different tags: it looks like a text",
                "Choose the column with the tags.",
            )
        key = frozenset(tags)
        if key not in self._sets and len(self._sets) >= _OTHER_SETS:
            return json.dumps(tags, ensure_ascii=False), _OTHER_SETS
        return json.dumps(tags, ensure_ascii=False), self._sets.setdefault(key, len(self._sets))

    def _name(self, tag: str, line: int) -> str:
        if self._names is None:
            return tag
        if tag in self._names:
            return tag
        if tag.isdecimal() and int(tag) < len(self._names):
            return self._names[int(tag)]
        raise BadTarget(
            f"is {self.column!r}, which has {tag[:60]!r} on line {line}: not one of the {len(self._names)} names of tags",
            "Add it to tag_names, or empty tag_names.",
        )

    def why_left_out(self, target: str, texts: Sequence[str]) -> str | None:
        if len(json.loads(target)) == len(words_in(texts[0])):
            return None
        return f"another number of tags in column {self.column!r} than of words in column {self._words!r}"

    def finish(self) -> None:
        if len(self._tags) < 2:
            raise BadTarget(
                f"is {self.column!r}, which has {len(self._tags)} different tags", "Choose a column with at least two."
            )

    @property
    def labels(self) -> list[str]:
        """All names if they are given: a tag without rows keeps its index."""
        return list(self._names) if self._names is not None else sorted(self._tags)

    def class_rows(self, train: Counter[int], evaluation: Counter[int]) -> tuple[ClassRows, ...]:
        trained, evaluated = self._by_tag(train), self._by_tag(evaluation)
        return tuple(ClassRows(tag, trained[tag], evaluated[tag]) for tag in self.labels)

    def warnings(self, train: Counter[int], evaluation: Counter[int]) -> list[str]:  # noqa: ARG002
        if all(tag.isdecimal() for tag in self._tags):
            return [
                f"Column {self.column!r} has tags that are numbers. Set tag_names, in the order of the numbers, so that the "
                "entities that they mark are known."
            ]
        return []

    def _by_tag(self, rows: Counter[int]) -> Counter[str]:
        sets = list(self._sets)
        counted: Counter[str] = Counter()
        for number, count in rows.items():
            for tag in sets[number] if number < len(sets) else ():
                counted[tag] += count
        return counted


class TokenClassification(Task):
    model_config = ConfigDict(title="Token classification")

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="eval_entity_f1", title="Evaluation entity F1", group="evaluation"),
        Metric(name="eval_entity_precision", title="Evaluation entity precision", group="evaluation"),
        Metric(name="eval_entity_recall", title="Evaluation entity recall", group="evaluation"),
        Metric(name="eval_tag_accuracy", title="Evaluation tag accuracy", group="evaluation"),
    )
    text_field: ClassVar[str] = "tokens_column"
    target_field: ClassVar[str] = "tags_column"
    has_linear_head: ClassVar[bool] = True

    name: Literal["token_classification"] = "token_classification"
    tokens_column: _ColumnName | None = Field(
        default=None,
        title="Words column",
        description="The column with the words: a list, or a text with spaces between them. Empty: the data set's default.",
        json_schema_extra={"x-options": "columns"},
    )
    tags_column: _ColumnName | None = Field(
        default=None,
        title="Tags column",
        description="The column with a tag for each word, such as B-PER or O. Empty: the data set's default.",
        json_schema_extra={"x-options": "columns"},
    )
    tag_names: list[Annotated[str, Field(min_length=1, max_length=_LONGEST_TAG)]] | None = Field(
        default=None,
        min_length=2,
        max_length=MAX_CLASSES,
        title="Names of numbered tags",
        description="If the tags are numbers: the name of 0, of 1 and so on. Empty: the tags are names.",
        json_schema_extra=advanced(),
    )

    @property
    def texts(self) -> list[str] | None:
        return None if self.tokens_column is None else [self.tokens_column]

    @property
    def target(self) -> str | None:
        return self.tags_column

    def usual_columns(self, columns: Sequence[str]) -> UsualColumns:
        words = named(columns, _TOKENS)
        return UsualColumns((words,) if words else (), named(columns, _TAGS))

    @classmethod
    def is_likely(cls, columns: Sequence[str], labels: Sequence[str]) -> bool:  # noqa: ARG003
        return named(columns, _TOKENS) is not None and named(columns, _TAGS) is not None

    def with_columns(self, texts: Sequence[str], target: str | None) -> Self:
        return self.model_copy(update={"tokens_column": texts[0], "tags_column": target})

    def read_text(self, value: object, as_text: AsText) -> str | None:
        return text_or_json(value, as_text)

    def targets(self, column: str) -> Targets:
        return Tags(column, self.tokens_column or "tokens", self.tag_names)

    def head_outputs(self, labels: Sequence[str]) -> int | None:
        return len(labels)

    def usage(self, folder: str, base: str | None, labels: Sequence[str]) -> str:
        if base is None:
            load = [f'model = AutoModelForTokenClassification.from_pretrained("{folder}")']
        else:
            load = [
                f"labels = {list(labels)!r}",
                f"base = AutoModelForTokenClassification.from_pretrained({base}, id2label=dict(enumerate(labels)))",
                f'model = PeftModel.from_pretrained(base, "{folder}").merge_and_unload()',
            ]
        return "\n".join(
            [
                *(["from peft import PeftModel"] if base is not None else []),
                "from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline",
                "",
                f'tokenizer = AutoTokenizer.from_pretrained("{folder}")',
                *load,
                'tag = pipeline("token-classification", model=model, tokenizer=tokenizer, aggregation_strategy="first")',
                'print(tag("your text"))',
                "",
            ]
        )

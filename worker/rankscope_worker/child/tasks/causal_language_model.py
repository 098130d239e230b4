"""Causal language model: next-token prediction, by default only of the answers; perplexity and generated answers."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
    AutoModelForCausalLM,
    DataCollatorForSeq2Seq,
    PreTrainedTokenizerBase,
)

from rankscope.catalog.data.entry import Row
from rankscope.catalog.data.splits import Split
from rankscope.contract.evaluation.results import RowResult
from rankscope.contract.predictions import Guess, TextGuess
from rankscope.contract.tasks import CausalLanguageModel as Options
from rankscope.contract.tasks import Task
from rankscope.contract.tasks.conversations import BadConversation, Message, read_conversation, read_messages
from rankscope_worker.child.answers.answer_lengths import Length, Lengths, length_notices, rows_with_answers
from rankscope_worker.child.answers.generation import Decoding, generate
from rankscope_worker.child.answers.packing import check_packable, packing_collator
from rankscope_worker.child.answers.prompts import ChatTemplate, PlainTemplate, Template, Tokens, whole_text
from rankscope_worker.child.answers.token_scores import IGNORED, perplexity_and_accuracy, token_means, token_scores
from rankscope_worker.child.loading.data import Batch, TokenizedSplit, tokenized
from rankscope_worker.child.loading.encoding import Counts, TextEncoder, UnusableText
from rankscope_worker.child.loading.model import Head
from rankscope_worker.child.tasks.task import Evaluation, Learned, NotFinite, RowNumbers, TrainedTask


class CausalLanguageModel(TrainedTask):
    peft_type = "CAUSAL_LM"
    label_names: Sequence[str] = ("labels",)
    eval_batch_rows = 1  # a row's logits have the size of the vocabulary times its length

    def __init__(self, options: Task, labels: Sequence[str]) -> None:  # noqa: ARG002  (there are no classes)
        assert isinstance(options, Options)
        self._options = options
        self._decoding = Decoding(options.max_new_tokens)
        self._template: Template
        self._prepared_for: PreTrainedTokenizerBase | None = None
        self._length = Length(0, 0, 0)
        """Of the newest row."""
        self._max_length = 0
        self._evaluated: list[int] = []
        """The evaluation rows that are not left out."""
        self._prompts: list[list[int]] = []
        """Of the evaluation rows whose answers are generated."""
        self._asked_rows: list[int] = []
        """The same evaluation rows."""
        self._answers: list[str] = []
        self._asked_texts: list[dict[str, str]] = []
        """The inputs of the same rows, as in "Try it"."""
        self._generated: list[str] = []
        """The answers of the newest evaluation."""

    def head(self) -> Head:
        # Masked models attend to later tokens, and would copy them.
        without = {*MODEL_FOR_MASKED_LM_MAPPING, *MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING}
        kinds = {kind for kind in MODEL_FOR_CAUSAL_LM_MAPPING if kind not in without and kind.model_type != "xlnet"}
        return Head(AutoModelForCausalLM, kinds, "causal language model", lambda _config: None, is_new=False)

    # ------------------------------------------------------------ rows

    def encode(self, split: Split, encoder: TextEncoder, max_length: int) -> TokenizedSplit:
        self._max_length = encoder.max_length
        self._prepare(encoder)
        rows = tokenized(split, encoder, max_length, partial(self.encode_batch, split=split, encoder=encoder))
        lengths, trained = Lengths.noted(rows.counts.noted), len(rows.train)
        train = rows_with_answers(rows.train, lengths.of(slice(trained)), encoder.max_length, "training")
        evaluated = lengths.of(slice(trained, None))
        evaluation = rows_with_answers(rows.evaluation, evaluated, encoder.max_length, "evaluation")
        self._evaluated = evaluated.with_answer(encoder.max_length)
        self._choose_prompts(split, encoder)
        notices = [*rows.notices, *length_notices(lengths, encoder.max_length)]
        return replace(rows, train=train, evaluation=evaluation, notices=notices)

    def encode_batch(self, batch: Batch, split: Split, encoder: TextEncoder, counts: Counts) -> dict[str, Any]:
        if self._prepared_for is not encoder.tokenizer:
            self._prepare(encoder)
        encoded = [
            self._tokens(row, split, encoder.tokenizer, batch.name(index)) for index, row in enumerate(batch.rows)
        ]
        for ids, is_answer in encoded:
            counts.cut += [counts.texts] if len(ids) > encoder.max_length else []
            counts.texts, counts.tokens = counts.texts + 1, counts.tokens + len(ids)
            # The first token is never predicted.
            answer = [index for index, is_one in enumerate(is_answer) if is_one and index > 0]
            self._length = Length(len(ids), min(answer, default=len(ids)), max(answer, default=0) + 1)
            for name, value in self._length._asdict().items():
                counts.note(name, value)
        cut = [(ids[: encoder.max_length], is_answer[: encoder.max_length]) for ids, is_answer in encoded]
        return {
            "input_ids": [ids for ids, _ in cut],
            "attention_mask": [[1] * len(ids) for ids, _ in cut],
            "labels": [self._labels(Tokens(*one)) for one in cut],
        }

    def given_texts(self, row: Row, split: Split, encoder: TextEncoder) -> dict[str, str]:  # noqa: ARG002
        column, options = split.text_columns[0], self._options
        if isinstance(self._template, ChatTemplate):
            return {"Conversation": self._template.text(self._messages(row, split), "The row")}
        if options.form == "text":
            return {column: row[column]}
        return {column: f"{row[column]}{options.separator}", str(split.target_column): row[str(split.target_column)]}

    def learned(self, row: Row, encoded: Mapping[str, Any], split: Split) -> Learned:
        target = row[split.target_column] if split.target_column is not None else None
        places = [at for at, label in enumerate(encoded["labels"]) if label != IGNORED and at > 0]
        length, kept = self._length, len(encoded["input_ids"])
        if length.has_answer(kept):
            return Learned(target, places)
        why = f"Its first {kept} tokens are all of the prompt, so that no token of an answer is left."
        return Learned(target, places, left_out=why)

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[list[Any]], Mapping[str, Any]]:
        collator: Callable[[list[Any]], Mapping[str, Any]] = DataCollatorForSeq2Seq(tokenizer)
        return collator

    def training_collator(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[list[Any]], Mapping[str, Any]]:
        if not self._options.pack:
            return self.collator(tokenizer)
        return packing_collator(self._max_length, int(tokenizer.pad_token_id))

    def check_model(self, model: nn.Module) -> None:
        if self._options.pack:
            check_packable(model)

    def _prepare(self, encoder: TextEncoder) -> None:
        options, tokenizer = self._options, encoder.tokenizer
        self._prepared_for = tokenizer
        if options.form == "text":
            self._template = PlainTemplate(tokenizer, "")
        elif options.form == "prompt" and options.template == "plain":
            self._template = PlainTemplate(tokenizer, options.separator)
        else:
            self._template = ChatTemplate(tokenizer)
            # The exported tokenizer must read the special tokens of its template; messages are made plain here.
            tokenizer.split_special_tokens = False
            tokenizer.init_kwargs.pop("split_special_tokens", None)

    def _tokens(self, row: Row, split: Split, tokenizer: PreTrainedTokenizerBase, name: str) -> Tokens:
        if self._options.form == "text":
            return whole_text(tokenizer, row[split.text_columns[0]])
        return self._template.complete(self._messages(row, split), name)

    def _messages(self, row: Row, split: Split) -> list[Message]:
        text = row[split.text_columns[0]]
        if self._options.form == "messages":
            return read_conversation(text)
        return [*self._asked(text), Message(role="assistant", content=row[str(split.target_column)])]

    def _asked(self, prompt: str) -> list[Message]:
        system = self._options.system_prompt
        first = [] if system is None else [Message(role="system", content=system)]
        return [*first, Message(role="user", content=prompt)]

    def _typed(self, text: str) -> list[Message]:
        """Returns a typed message, or a conversation up to its answer, typed as JSON."""
        try:
            messages = read_messages(text)
        except BadConversation:
            messages = []
        is_asked = self._options.form == "messages" and messages and messages[-1]["role"] != "assistant"
        return messages if is_asked else [Message(role="user", content=text)]

    def _labels(self, tokens: Tokens) -> list[int]:
        if self._options.loss_on == "all":
            return list(tokens.ids)
        return [id if is_answer else IGNORED for id, is_answer in zip(*tokens, strict=True)]

    def _choose_prompts(self, split: Split, encoder: TextEncoder) -> None:
        """Keeps the first prompts of the evaluation rows that fit into the length of training."""
        if self._options.form == "text":
            return
        for index, row in enumerate(split.evaluation):
            if len(self._prompts) == self._options.generated_rows:
                break
            name, text = f"evaluation row {index + 1}", row[split.text_columns[0]]
            if self._options.form == "messages":
                messages = read_conversation(text)
                last = max(at for at, message in enumerate(messages) if message["role"] == "assistant")
                asked, answer = messages[:last], messages[last]["content"]
                # A single message is shown as its text, as you type it in "Try it"; otherwise the earlier messages are
                # included.
                text = asked[0]["content"] if len(asked) == 1 else json.dumps(asked, ensure_ascii=False)
            else:
                asked, answer = self._asked(text), row[str(split.target_column)]
            prompt = self._template.prompt(asked, name)
            if len(prompt) < encoder.max_length:
                self._prompts.append(prompt)
                self._asked_rows.append(index)
                self._answers.append(answer.strip())
                self._asked_texts.append({split.text_columns[0]: text})
        self._decoding = replace(
            self._decoding, max_new_tokens=_room(self._options.max_new_tokens, self._prompts, encoder.limit)
        )

    # ------------------------------------------------------------ evaluation

    def kept_outputs(self, outputs: Any, targets: Any) -> Tensor:
        """For each row: the negative log-likelihood of its counted tokens, how many are right, and their number."""
        return token_scores(outputs[0] if isinstance(outputs, tuple) else outputs, targets, shift=1)

    def metrics(self, evaluation: Evaluation) -> dict[str, float]:
        return perplexity_and_accuracy(evaluation.outputs)

    def metrics_of(self, evaluation: Evaluation, rows: Sequence[int]) -> dict[str, float]:
        wanted = set(rows)
        at = [index for index, row in enumerate(self._evaluated) if row in wanted]
        return self.metrics(evaluation.of(rows, at)) if at else {}

    def measure_generated(
        self, model: nn.Module, tokenizer: PreTrainedTokenizerBase, should_stop: Callable[[], bool]
    ) -> dict[str, float]:
        if not self._prompts:
            return {}
        self._generated = generate(
            model,
            tokenizer,
            self._prompts,
            self._decoding,
            stop_tokens=self._template.stop_tokens,
            should_stop=should_stop,
        )
        return {
            "exact_match": float(
                np.mean([text == answer for text, answer in zip(self._generated, self._answers, strict=True)])
            )
        }

    def row_values(self, evaluation: Evaluation) -> RowNumbers:
        """Loss and accuracy are means over the counted tokens of a row; exact match of the rows whose answers are generated."""
        rows = len(evaluation.rows)
        values = {name: np.full(rows, np.nan) for name in ("loss", "token_accuracy")}
        for name, found in token_means(evaluation.outputs).items():
            values[name][self._evaluated] = found
        if self._generated:
            right = [text == answer for text, answer in zip(self._generated, self._answers, strict=True)]
            values["exact_match"] = np.full(rows, np.nan)
            values["exact_match"][self._asked_rows] = right
        return values

    def rows_with_results(self, evaluation: Evaluation) -> Sequence[int]:  # noqa: ARG002
        return self._asked_rows

    def results(self, evaluation: Evaluation) -> Iterable[RowResult]:
        """Only for the rows whose answers are generated. Their loss is the mean over their counted tokens."""
        losses = dict(zip(self._evaluated, token_means(evaluation.outputs)["loss"], strict=True))
        rows = zip(self._asked_rows, self._asked_texts, self._answers, self._generated, strict=False)
        for row, inputs, answer, text in rows:
            # A row without an answer within the length has no loss.
            loss = float(losses[row]) if row in losses else None
            yield RowResult(inputs=inputs, target=answer, prediction=text, loss=loss, is_right=text == answer)

    # ------------------------------------------------------------ Try it

    def encode_inputs(
        self, inputs: Sequence[Mapping[str, str]], encoder: TextEncoder, counts: Counts
    ) -> dict[str, Any]:
        self._prepare(encoder)
        prompts = []
        for index, one in enumerate(inputs):
            (text,) = one.values()
            asked = self._asked(text) if self._options.form == "prompt" else self._typed(text)
            prompt = self._template.prompt(asked, f"Text {index + 1}")
            if len(prompt) >= encoder.max_length:
                raise UnusableText(
                    f"Text {index + 1} has {len(prompt)} tokens with the template, but the run's max_length is "
                    f"{encoder.max_length}, so that there is no room for an answer."
                )
            prompts.append(prompt)
        counts.texts += len(prompts)
        self._decoding = replace(
            self._decoding, max_new_tokens=_room(self._options.max_new_tokens, prompts, encoder.limit)
        )
        return {"input_ids": prompts}

    def answer(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        encoded: dict[str, Any],
        inputs: Sequence[Mapping[str, str]],  # noqa: ARG002
    ) -> list[Guess]:
        model.eval()
        prompts: list[list[int]] = encoded["input_ids"]
        with torch.no_grad():
            if not torch.isfinite(model(input_ids=torch.tensor([prompts[0]])).logits).all():
                raise NotFinite("The model's outputs are NaN; the training has diverged.")
        texts = generate(model, tokenizer, prompts, self._decoding, stop_tokens=self._template.stop_tokens)
        return [TextGuess(text=text) for text in texts]


def _room(wanted: int, prompts: Sequence[Sequence[int]], limit: int | None) -> int:
    """Returns how many tokens can be generated within the model's positions."""
    return wanted if limit is None else max(1, min(wanted, limit - max(map(len, prompts), default=0)))

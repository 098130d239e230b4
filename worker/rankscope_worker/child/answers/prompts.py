"""Prompts and answers as token ids, with the chat template of a tokenizer or a plain one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from rankscope.contract.tasks.conversations import Message
from rankscope_worker.child.loading.encoding import UnusableText
from rankscope_worker.child.loading.file_errors import UnusableModel


class Tokens(NamedTuple):
    ids: list[int]
    is_answer: list[bool]
    """Whether each token belongs to an answer, including the token that ends it."""


class Template(Protocol):
    """Turns messages into token ids. Special tokens within a message are treated as plain text."""

    stop_tokens: Sequence[int]
    """Tokens that end an answer, besides the tokenizer's end token."""

    def prompt(self, messages: Sequence[Message], name: str) -> list[int]:
        """Returns the token ids after which the answer begins. `name` names the messages for an error."""
        ...

    def complete(self, messages: Sequence[Message], name: str) -> Tokens:
        """Returns the token ids of all messages, which begin with those of `prompt`."""
        ...


@dataclass
class PlainTemplate:
    """The prompt, a separator, the answer and the end token. `messages` are one prompt and at most one answer."""

    tokenizer: PreTrainedTokenizerBase
    separator: str
    stop_tokens: Sequence[int] = ()

    def prompt(self, messages: Sequence[Message], name: str) -> list[int]:
        ids: list[int] = self.tokenizer(f"{messages[0]['content']}{self.separator}").input_ids
        end = self.tokenizer.eos_token_id
        if ids and ids[-1] == end and len(ids) > 1:  # added by some tokenizers
            ids = ids[:-1]
        if not ids:
            raise UnusableText(
                f"{name} has an empty prompt, but this model needs at least one token before the answer."
            )
        return ids

    def complete(self, messages: Sequence[Message], name: str) -> Tokens:
        prompt, end = self.prompt(messages, name), self.tokenizer.eos_token_id
        answer: list[int] = self.tokenizer(messages[-1]["content"], add_special_tokens=False).input_ids
        answer += [] if end is None else [end]
        return Tokens(prompt + answer, [False] * len(prompt) + [True] * len(answer))


def whole_text(tokenizer: PreTrainedTokenizerBase, text: str) -> Tokens:
    """Returns the token ids of a text without a prompt, and its end token. All of them count as answer."""
    ids: list[int] = tokenizer(text).input_ids
    end = tokenizer.eos_token_id
    if end is not None and ids[-1:] != [end]:
        ids = [*ids, end]
    return Tokens(ids, [True] * len(ids))


class ChatTemplate:
    """The tokenizer's own chat template. Raises UnusableModel if it has none."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        if not tokenizer.chat_template:
            raise UnusableModel(
                "The model's tokenizer has no chat template. Use a model that was trained for chat, or, for prompts and "
                "answers in two columns, set task.template to plain."
            )
        self._tokenizer = tokenizer
        self._special = {id for id, token in tokenizer.added_tokens_decoder.items() if token.special}
        self._special |= set(tokenizer.all_special_ids)
        self._special_texts = [
            text for text in (str(tokenizer.convert_ids_to_tokens(id)) for id in sorted(self._special)) if len(text) > 1
        ]
        self.stop_tokens: Sequence[int] = self._stop_tokens()

    def prompt(self, messages: Sequence[Message], name: str) -> list[int]:
        return self._ids(self._text(self._plain(messages), name, begins_answer=True))

    def complete(self, messages: Sequence[Message], name: str) -> Tokens:
        messages = self._plain(messages)
        whole = self._text(messages, name)
        tokens, at = Tokens([], []), 0
        for index, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            begin = self._text(messages[:index], name, begins_answer=True)
            end = whole if index == len(messages) - 1 else self._text(messages[: index + 1], name)
            if not whole.startswith(begin) or not whole.startswith(end) or not at <= len(begin) < len(end):
                raise UnusableText(
                    f"{name}: the tokenizer's chat template shows message {index + 1} differently once others follow, so its "
                    "tokens can't be told apart. Use conversations with one answer, at their end."
                )
            self._add(tokens, whole[at : len(begin)])
            self._add_answer(tokens, whole[len(begin) : len(end)], is_last=end == whole)
            at = len(end)
        self._add(tokens, whole[at:])
        return tokens

    def text(self, messages: Sequence[Message], name: str) -> str:
        """Returns the text of all messages that `complete` converts to tokens."""
        return self._text(self._plain(messages), name)

    def _plain(self, messages: Sequence[Message]) -> list[Message]:
        """Breaks up special tokens in a message's text, so that the message can't end early or change its role."""
        return [Message(role=message["role"], content=self._plain_text(message["content"])) for message in messages]

    def _plain_text(self, text: str) -> str:
        for token in self._special_texts:
            text = text.replace(token, f"{token[0]} {token[1:]}")
        return text

    def _text(self, messages: Sequence[Message], name: str, *, begins_answer: bool = False) -> str:
        given: list[dict[str, Any]] = [{**message} for message in messages]
        try:
            text = self._tokenizer.apply_chat_template(given, tokenize=False, add_generation_prompt=begins_answer)
        except (TemplateError, TypeError) as error:
            raise UnusableText(
                f"{name} does not fit the tokenizer's chat template: {str(error)[:200]}. Change its messages or the system "
                "prompt."
            ) from error
        return str(text)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False, split_special_tokens=False).input_ids
        return ids

    def _add(self, tokens: Tokens, text: str) -> None:
        ids = self._ids(text) if text else []
        tokens.ids.extend(ids)
        tokens.is_answer.extend([False] * len(ids))

    def _add_answer(self, tokens: Tokens, text: str, *, is_last: bool) -> None:
        ids = self._ids(text)
        ends = [index for index, id in enumerate(ids) if id in self._special]
        # Text that the template adds after the end of an answer is not part of the answer.
        length = ends[-1] + 1 if ends else len(ids)
        if is_last:
            del ids[length:]
        if not ends and is_last and self._tokenizer.eos_token_id is not None:
            ids, length = [*ids, self._tokenizer.eos_token_id], length + 1
        tokens.ids.extend(ids)
        tokens.is_answer.extend(index < length for index in range(len(ids)))

    def _stop_tokens(self) -> list[int]:
        """Returns the token with which the template ends an answer."""
        messages = [Message(role="user", content="a"), Message(role="assistant", content="b")]
        tokens = self.complete(messages, "The chat template's example")
        last = max((index for index, is_answer in enumerate(tokens.is_answer) if is_answer), default=None)
        return [tokens.ids[last]] if last is not None and tokens.ids[last] in self._special else []

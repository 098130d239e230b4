"""Conversations: lists of messages with a role and a content, as chat models are trained on."""

import json
from collections.abc import Sequence
from typing import TypedDict

from rankscope.contract.tasks.targets import NoTargets

ROLES = ("system", "user", "assistant", "tool")


class Message(TypedDict):
    role: str
    content: str


class BadConversation(ValueError):
    """A cell that is not a conversation. The message is the reason for leaving out its row."""


def read_messages(text: str) -> list[Message]:
    """Returns messages that are given as JSON. Raises BadConversation."""
    try:
        found = json.loads(text)
    except ValueError:
        raise BadConversation("messages that are not JSON") from None
    if not isinstance(found, list) or not found:
        raise BadConversation("messages that are not a list with at least one message")
    messages: list[Message] = []
    for message in found:
        if not isinstance(message, dict):
            raise BadConversation("a message that is not an object with role and content")
        role, content = message.get("role"), message.get("content")
        if role not in ROLES:
            raise BadConversation(f"a message whose role is not one of {', '.join(ROLES)}")
        if not isinstance(content, str):
            raise BadConversation("a message whose content is not a text")
        messages.append(Message(role=str(role), content=content))
    return messages


def read_conversation(text: str) -> list[Message]:
    """Returns the messages of a cell, from which an answer can be learned. Raises BadConversation."""
    messages = read_messages(text)
    if not any(message["role"] == "assistant" and message["content"].strip() for message in messages):
        raise BadConversation("no message of the assistant, so there is nothing to learn")
    if messages[0]["role"] == "assistant":
        raise BadConversation("messages that begin with the assistant, so that there is no prompt")
    return messages


class Conversations(NoTargets):
    """Checks each row's conversation."""

    def why_left_out(self, target: str, texts: Sequence[str]) -> str | None:  # noqa: ARG002
        try:
            read_conversation(texts[0])
        except BadConversation as error:
            return str(error)
        return None

"""Answers are computed in a separate process, and only once for any number of concurrent requests."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import BaseModel

from rankscope.contract.errors import ServiceDown
from rankscope.experiments.process import AnswerProcesses


class Question(BaseModel):
    text: str


def ask(processes: AnswerProcesses, text: str) -> Question:
    """Sends a question to a module that echoes it."""
    return processes.run_once("json.tool", Question(text=text), Question)


def test_the_same_question_is_answered_once_and_the_oldest_answers_are_dropped() -> None:
    processes = AnswerProcesses(most_kept=2)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: ask(processes, "a"), range(4)))
    assert found == [Question(text="a")] * 4
    assert all(one is found[0] for one in found)
    other = ask(processes, "b")
    assert ask(processes, "a") is found[0]
    ask(processes, "c")
    assert ask(processes, "a") is found[0]
    again = ask(processes, "b")
    assert again == other
    assert again is not other


def test_a_process_that_fails_is_asked_again() -> None:
    processes = AnswerProcesses()
    for _ in range(2):
        with pytest.raises(ServiceDown, match="No module named"):
            processes.run_once("rankscope.no_such_module", Question(text="a"), Question)

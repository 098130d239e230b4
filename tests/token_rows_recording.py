"""A response of the job `tokenize_rows`, for the page's tests: `python -m tests.token_rows_recording` writes it.

tests/worker/child/tasks/test_tokenize_rows.py checks that the job still returns the same.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from tests.worker.child.tasks.installation import CHAT, install, plan_of
from tests.worker.child.tasks.test_causal_language_model import PAIRS
from tests.worker.child.tasks.test_tokenize_rows import ask

FILE = Path(__file__).parents[1] / "frontend" / "src" / "features" / "new-run" / "tokens" / "token-rows.recorded.json"


def record(folder: Path) -> dict[str, Any]:
    """Three prompts with a chat template, whose end is cut off."""
    install(folder, "llama", PAIRS[:24], chat_template=CHAT)
    task = {"name": "causal_language_model", "generated_rows": 0}
    plan = plan_of(folder, task, {"name": "lora", "rank": 2}, max_length=22)
    return ask(folder, plan, 1, 3, with_lengths=True).model_dump(mode="json")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        FILE.write_text(json.dumps(record(Path(folder)), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

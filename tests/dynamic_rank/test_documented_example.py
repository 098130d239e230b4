"""The script in docs/method.md runs as it is written there, on the real model and texts."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import dynamic_rank

PAGE = Path(__file__).parents[2] / "docs" / "method.md"


def test_the_script_of_the_documentation_runs_and_leaves_a_plain_lora(tmp_path):
    script = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)[0]
    assert "export_lora(model" in script
    path = tmp_path / "script.py"
    path.write_text(script, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(Path(dynamic_rank.__file__).parents[1]), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, str(path)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    ranks = json.loads((tmp_path / "adapter" / "rank_pattern.json").read_text())
    assert len(ranks) == 36
    assert sum(ranks.values()) == 36 * 4
    assert len(set(ranks.values())) > 1
    assert re.search(r"^20 144 \[", done.stdout, flags=re.MULTILINE)  # the final pruning, as the script prints it

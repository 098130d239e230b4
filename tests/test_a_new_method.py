"""A new method touches four files, and is planned, validated and trained like the others (see CONTRIBUTING.md)."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TOY = ROOT / "tests" / "toy_method"
NEW = {
    "backend/rankscope/contract/methods/toy.py": TOY / "contract_half.py",
    "worker/dynamic_rank/methods/toy.py": TOY / "worker_half.py",
}
EDITED = {
    "backend/rankscope/contract/methods/__init__.py": [
        (
            "\nAnyMethod = (\n",
            "\nfrom rankscope.contract.methods.toy import ToyMethod\n\nAnyMethod = (\n    ToyMethod |\n",
        ),
        ("MethodName = Literal[", 'MethodName = Literal["toy", '),
    ],
    "worker/dynamic_rank/methods/__init__.py": [
        ("\nMETHODS:", "\nfrom .toy import Toy, ToyOptions\n\nMETHODS:"),
        ('    "full": (', '    "toy": (Toy, ToyOptions),\n    "full": ('),
    ],
}


def registered(folder: Path) -> Path:
    """A copy of server and worker in which method toy is registered."""
    for part in ("backend", "worker"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("static", "__pycache__"))
    for path, source in NEW.items():
        shutil.copy(source, folder / path)
    for path, edits in EDITED.items():
        text = (folder / path).read_text(encoding="utf-8")
        for before, after in edits:
            assert text.count(before) == 1, f"{path} has no single {before!r}"
            text = text.replace(before, after)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def test_a_method_registered_in_four_files_is_described_planned_and_trained(tmp_path: Path) -> None:
    copy = registered(tmp_path / "copy")
    path = os.pathsep.join(map(str, [copy / "backend", copy / "worker", ROOT]))
    done = subprocess.run(
        [sys.executable, "-m", "tests.toy_method", str(tmp_path / "data")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert Path(seen["package"]).is_relative_to(copy)
    assert (seen["label"], seen["in_the_form"], seen["default_name"]) == ("Toy", True, "Toy 2")
    components = 2 * seen["modules"]
    assert seen["curve"] == [[0, components], [4, components]]
    assert (seen["outcome"], seen["live"], seen["artifact"]) == ("done", components, "adapter")
    assert seen["kept_parameters"] == seen["planned_kept_parameters"]

"""A new method needs changes in four files, and is planned, validated and trained like the others (CONTRIBUTING.md)."""

import json
from pathlib import Path

from tests.source_copy import ROOT, copy_sources, run_module

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


def test_a_method_registered_in_four_files_is_described_planned_and_trained(tmp_path: Path) -> None:
    copy = copy_sources(tmp_path / "copy", NEW, EDITED)
    done = run_module("tests.toy_method", copy, str(tmp_path / "data"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert Path(seen["package"]).is_relative_to(copy)
    assert (seen["label"], seen["in_the_form"], seen["default_name"]) == ("Toy", True, "Toy 2")
    components = 2 * seen["modules"]
    assert seen["curve"] == [[0, components], [4, components]]
    assert (seen["outcome"], seen["live"], seen["artifact"]) == ("done", components, "adapter")
    assert seen["kept_parameters"] == seen["planned_kept_parameters"]

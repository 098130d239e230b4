"""A new method and a new task need changes in four files each; they are used like the others (CONTRIBUTING.md)."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.source_copy import ROOT, copy_sources, run_module

TOY = ROOT / "tests" / "additions"
NEW = {
    "backend/rankscope/contract/methods/toy.py": TOY / "method_contract.py",
    "worker/dynamic_rank/methods/toy.py": TOY / "method_worker.py",
    "backend/rankscope/contract/tasks/grading.py": TOY / "task_contract.py",
    "worker/rankscope_worker/child/tasks/grading.py": TOY / "task_worker.py",
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
    "backend/rankscope/contract/tasks/__init__.py": [
        ("\n_KINDS:", "\nfrom rankscope.contract.tasks.grading import Grading\n\n_KINDS:"),
        ("    TextClassification,\n", "    TextClassification,\n    Grading,\n"),
    ],
    "worker/rankscope_worker/child/tasks/__init__.py": [
        ("\nTRAINED:", "\nfrom rankscope_worker.child.tasks.grading import Grading\n\nTRAINED:"),
        (": TextClassification,\n", ': TextClassification,\n    "grading": Grading,\n'),
    ],
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_sources(tmp_path_factory.mktemp("sources") / "copy", NEW, EDITED)


@pytest.fixture(scope="module")
def found(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one process saw of both, because its imports take longer than the rest."""
    folder = tmp_path_factory.mktemp("additions")
    done = run_module("tests.additions", copy, str(folder / "data"), cwd=folder)
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


def test_a_method_registered_in_four_files_is_described_planned_and_trained(found: dict[str, Any], copy: Path) -> None:
    seen = found["method"]
    assert Path(seen["package"]).is_relative_to(copy)
    assert (seen["label"], seen["in_the_form"], seen["default_name"]) == ("Toy", True, "Toy 2")
    components = 2 * seen["modules"]
    assert seen["curve"] == [[0, components], [4, components]]
    assert (seen["outcome"], seen["live"], seen["artifact"]) == ("done", components, "adapter")
    assert seen["kept_parameters"] == seen["planned_kept_parameters"]


def test_a_task_registered_in_four_files_is_described_planned_trained_and_predicts(
    found: dict[str, Any], copy: Path
) -> None:
    seen = found["task"]
    assert Path(seen["package"]).is_relative_to(copy)
    assert seen["tasks"][:2] == ["text_classification", "grading"]
    assert seen["titles"] == ["Evaluation distance", "Evaluation loss"]
    assert seen["in_the_form"]
    assert seen["refused"] == ["config.task.grade_column"]
    assert seen["left_out"] == [["no grade in column 'grade'", 1]]
    assert seen["classes"] == ["1", "2", "3", "4"]  # no row has a 3: only the task knows that it is a grade
    assert (seen["best_by"], seen["lower_is_better"]) == ("eval_distance", True)
    assert seen["evaluated"] == ["eval_distance", "eval_loss"]
    assert (seen["outcome"], seen["artifact"]) == ("done", "adapter")
    assert seen["answer"] == ["1", "2", "3", "4"]

"""A new task needs changes in four files; it is planned, trained and used like the others (CONTRIBUTING.md)."""

import json
from pathlib import Path

from tests.source_copy import ROOT, copy_sources, run_module

TOY = ROOT / "tests" / "toy_task"
NEW = {
    "backend/rankscope/contract/tasks/grading.py": TOY / "contract_half.py",
    "worker/rankscope_worker/child/tasks/grading.py": TOY / "worker_half.py",
}
EDITED = {
    "backend/rankscope/contract/tasks/__init__.py": [
        ("\n_KINDS:", "\nfrom rankscope.contract.tasks.grading import Grading\n\n_KINDS:"),
        ("    TextClassification,\n", "    TextClassification,\n    Grading,\n"),
    ],
    "worker/rankscope_worker/child/tasks/__init__.py": [
        ("\nTRAINED:", "\nfrom rankscope_worker.child.tasks.grading import Grading\n\nTRAINED:"),
        (": TextClassification,\n", ': TextClassification,\n    "grading": Grading,\n'),
    ],
}


def test_a_task_registered_in_four_files_is_described_planned_trained_and_predicts(tmp_path: Path) -> None:
    copy = copy_sources(tmp_path / "copy", NEW, EDITED)
    done = run_module("tests.toy_task", copy, str(tmp_path / "data"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
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

"""The trials of an experiment by cell, and the scores of their rows."""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from rankscope.contract.experiments.design import TrialPurpose, TrialStatus
from rankscope.experiments.inputs import AnswerInput, TrialData

CellKey = tuple[str, float, str]
"""Task, budget and variant."""


class TrialTable:
    """Results by cell and seed; of several trials of a cell with the same seed, the last one."""

    def __init__(self, given: AnswerInput) -> None:
        self.cells: dict[CellKey, dict[int, TrialData]] = defaultdict(dict)
        self.planned: dict[CellKey, int] = defaultdict(int)
        self.tuning: dict[CellKey, list[TrialData]] = defaultdict(list)
        self._scores = given.scores
        for trial in given.trials:
            key = (trial.task, trial.budget, trial.variant)
            if trial.purpose == TrialPurpose.tune:
                self.tuning[key].append(trial)
                continue
            self.planned[key] += 1
            if trial.status == TrialStatus.done:
                self.cells[key][trial.seed] = trial

    def scores(self, trial: TrialData) -> NDArray[np.float64] | None:
        """Returns the scores of a trial whose mean is its value; None otherwise, for example for F1."""
        packed = self._scores.get(trial.number)
        if packed is None or trial.value is None:
            return None
        scores = np.frombuffer(packed, dtype="<f4").astype(np.float64)
        # float32 scores; the metric may have been averaged in float32 too.
        is_mean = len(scores) > 0 and abs(float(scores.mean()) - trial.value) <= 1e-5 * max(1.0, abs(trial.value))
        return scores if is_mean else None

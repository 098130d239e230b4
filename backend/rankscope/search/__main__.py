"""Reads an `AnalysisInput` as JSON from standard input and writes its `SweepAnalysis` to standard output."""

import sys

from rankscope.contract.sweeps.analysis import AnalysisInput
from rankscope.search.analysis import analyse

sys.stdout.write(analyse(AnalysisInput.model_validate_json(sys.stdin.buffer.read())).model_dump_json())

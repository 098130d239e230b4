"""Reads an `AnswerInput` as JSON from standard input and writes its `Answer` to standard output."""

import sys

from rankscope.experiments.compute import compute
from rankscope.experiments.inputs import AnswerInput

sys.stdout.write(compute(AnswerInput.model_validate_json(sys.stdin.buffer.read())).model_dump_json())

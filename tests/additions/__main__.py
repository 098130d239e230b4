"""Uses the toy method and the toy task; prints what it saw as JSON. Argument: a new folder."""

import json
import sys
from pathlib import Path

from rankscope_worker.child.fast_imports import fast_imports

with fast_imports(with_quantisation=False):  # as in a training
    from tests.additions import method, task

folder = Path(sys.argv[1])
print(json.dumps({"method": method.use(folder / "method"), "task": task.use(folder / "task")}))

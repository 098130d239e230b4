"""`python -m rankscope_worker`."""

import sys

from rankscope_worker.main import main

sys.exit(main())

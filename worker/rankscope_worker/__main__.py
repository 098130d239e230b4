"""`python -m rankscope_worker`."""

import sys

from rankscope_worker.host.main import main

sys.exit(main())

"""`python -m tests.e2e.serve_page FOLDER`: the API with a different build of the page, as after an upgrade."""

import sys
from pathlib import Path

import uvicorn

from rankscope.app import create_app
from rankscope.settings import Settings

if __name__ == "__main__":
    settings = Settings()
    uvicorn.run(
        create_app(settings, static_dir=Path(sys.argv[1])), host="127.0.0.1", port=settings.port, log_level="warning"
    )

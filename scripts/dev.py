"""`make dev`: runs `rankscope up` and Vite, which serves the page's sources and forwards /api."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE_URL = "http://127.0.0.1:5173"


def main() -> int:
    servers = [
        subprocess.Popen([sys.executable, "-m", "rankscope", "up", *sys.argv[1:]], cwd=ROOT),
        subprocess.Popen(["npm", "run", "dev", "--", "--host", "127.0.0.1", "--strictPort"], cwd=ROOT / "frontend"),
    ]
    print(f"The page's sources are served at {PAGE_URL}; sign in with the token from the link below.", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        os.wait()
    for server in servers:
        if server.poll() is None:
            server.terminate()
    return max(server.wait() for server in servers)


if __name__ == "__main__":
    raise SystemExit(main())

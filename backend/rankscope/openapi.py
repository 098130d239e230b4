"""Writes frontend/openapi.json, from which the page's types are generated: `python -m rankscope.openapi [--check]`."""

import argparse
import json
import sys
from pathlib import Path

from rankscope.app import create_app
from rankscope.settings import Settings

TARGET = Path(__file__).parents[2] / "frontend" / "openapi.json"


def text() -> str:
    """Returns the OpenAPI document as text, identical on every machine."""
    document = create_app(Settings(_env_file=None)).openapi()
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m rankscope.openapi", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare; exit with 1 if the file is out of date")
    if not parser.parse_args().check:
        TARGET.write_text(text(), encoding="utf-8")
        return 0
    if TARGET.is_file() and TARGET.read_text(encoding="utf-8") == text():
        return 0
    sys.stderr.write(f"{TARGET} is out of date. Run `python -m rankscope.openapi` and commit it.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())

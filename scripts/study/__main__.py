"""The study of docs/study.md, by the REST API of a running RankScope.

`run` trains the parts one after the other and stores what they say in docs/study; stopped and started again, it continues.
`list` shows what is missing and how long it takes. `report` writes the tables of docs/study.md. The server is that of
`rankscope up`, or RANKSCOPE_URL with RANKSCOPE_TOKEN.
"""

import argparse
from datetime import datetime, timedelta
from fnmatch import fnmatch
from pathlib import Path

import typer

from rankscope.cli.connection import connected
from scripts.study import launching, report
from scripts.study.parts import MINILM, parts

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE, ANSWERS = DOCS / "study.md", DOCS / "study"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.study", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("run", "list", "report"))
    parser.add_argument("--only", default="*", metavar="PATTERN", help="some parts, for example 'reviews-*'")
    parser.add_argument("--until", metavar="HH:MM", help="pause then; the runs that train end")
    parser.add_argument("--model", default=MINILM, help="another model of the installation, for example local:smollm2")
    options = parser.parse_args()
    chosen = [part for part in parts(options.model) if fnmatch(part.name, options.only)]
    if not chosen:
        parser.error(f"--only {options.only!r} fits no part; `list` shows their names")
    if options.command == "report":
        report.write(PAGE, ANSWERS)
        return
    until = float("inf") if options.until is None else _next(options.until)
    try:
        with connected() as client:
            if options.command == "run":
                launching.run(client, chosen, ANSWERS, until=until)
                report.write(PAGE, ANSWERS)
            print(report.overview(launching.states(client, chosen)))
    except typer.Exit as ended:  # after its sentence on standard error
        raise SystemExit(ended.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(
            "\nThe server goes on. Start this command again to follow it and to store its answer."
        ) from None


def _next(clock: str) -> float:
    """The next time that the clock of this machine shows HH:MM, in seconds since 1970."""
    hour, minute = map(int, clock.split(":"))
    now = datetime.now().astimezone()
    found = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return (found if found > now else found + timedelta(days=1)).timestamp()


if __name__ == "__main__":
    main()

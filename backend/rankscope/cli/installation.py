"""Commands for this machine's data folder and database: up, api, worker, backup, restore."""

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from rankscope.cli.errors import starting
from rankscope.cli.options import AsJson, DataDir, Host, Port
from rankscope.cli.output import show
from rankscope.settings import read_settings


def up(
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
    demo: Annotated[bool, typer.Option(help="Queue the demo run on the first start.")] = True,
) -> None:
    """Run everything on this machine: Valkey, database, one worker, API and page. Ctrl-C stops it cleanly."""
    with starting():
        settings = read_settings(host=host, port=port, data_dir=data_dir)  # before the imports, which take a second
        from rankscope.up import up as serve

        serve(settings, with_demo=demo, echo=typer.echo)


def api(host: Host = None, port: Port = None, data_dir: DataDir = None) -> None:
    """Run only the API and the page, with the database and broker of RANKSCOPE_DATABASE_URL and RANKSCOPE_BROKER_URL."""
    with starting():
        settings = read_settings(host=host, port=port, data_dir=data_dir)
        from rankscope.serve import serve_api

        serve_api(settings, echo=typer.echo)


def worker(context: typer.Context) -> None:
    """Run a worker on this host, which takes queued runs and trains them (--slots N, --name NAME)."""
    os.execv(sys.executable, [sys.executable, "-m", "rankscope_worker", *context.args])


def backup(
    file: Annotated[Path, typer.Argument(help="The file to write, for example rankscope.tar.gz.")],
    files: Annotated[bool, typer.Option(help="Include logs, checkpoints and results of the runs.")] = True,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write this machine's database and data folder to one file. Nothing has to be stopped."""
    from rankscope.backup.write import write_backup

    with starting():
        note = write_backup(read_settings(data_dir=data_dir), file, with_files=files)
    size = file.stat().st_size
    line = f"{file}: {note.runs} runs, {note.events:,} events, {size / 1e6:,.1f} MB"
    show(asdict(note) | {"size_bytes": size}, as_json, line)


def restore(
    file: Annotated[Path, typer.Argument(help="A file written by `rankscope backup`.")],
    replace: Annotated[
        bool, typer.Option(help="Remove the existing runs; their files are kept in a separate folder.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Restore a backup to this machine's database and data folder, which must not have any runs."""
    from rankscope.backup.restore import restore_backup

    with starting():
        note = restore_backup(read_settings(data_dir=data_dir), file, replace=replace)
    show(asdict(note), as_json, f"{note.runs} runs and {note.events:,} events restored.")

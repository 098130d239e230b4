"""Expected failures of a command: one sentence on standard error, and exit code 1."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import httpx
import typer
from redis import RedisError
from sqlalchemy.exc import SQLAlchemyError

from rankscope.cli.output import printable
from rankscope.contract.errors import RankScopeError, StartupError
from rankscope.data_folder import keep_files_private
from rankscope.store.database.readiness import line_of


class OneSentence(typer.core.TyperGroup):
    """Reports a usage error in one sentence with exit code 1, like every other error that stops a command from starting."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        if not args:  # prints the help
            return super().make_context(info_name, args, parent, **extra)
        with _usage():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: Any) -> Any:
        with _usage():
            return super().invoke(ctx)


@contextmanager
def one_sentence() -> Iterator[None]:
    """Prints an expected error as a sentence on standard error, and exits with code 1."""
    try:
        yield
    except (RankScopeError, StartupError) as error:
        fail(error.detail)
    except UnicodeError as error:
        fail(f"Invalid UTF-8 ({error.reason if hasattr(error, 'reason') else error}).")
    except BrokenPipeError:
        raise  # of `rankscope runs | head`: typer ends quietly
    except OSError as error:
        fail(f"{error.filename or 'A file'} can't be used: {error.strerror or error}.")
    except httpx.RequestError as error:
        fail(f"The server's response can't be read: {error}.")
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@contextmanager
def starting() -> Iterator[None]:
    """`one_sentence` for commands that use this machine's data folder and database. New files are private to their owner."""
    keep_files_private()
    with one_sentence():
        try:
            yield
        except (OSError, SQLAlchemyError, RedisError) as error:
            raise StartupError(f"RankScope can't continue ({type(error).__name__}: {line_of(error)}).") from error


# Typer includes its own copy of click, whose classes are not public.
_UsageError: type[Any] = typer.BadParameter.__mro__[1]


@contextmanager
def _usage() -> Iterator[None]:
    """Prints a usage error (unknown option, missing argument, invalid value) as a sentence, and exits with code 1."""
    try:
        yield
    except _UsageError as error:
        problem = " ".join(error.format_message().split()).rstrip(".")
        command = error.ctx.command_path if error.ctx else "rankscope"
        fail(f"{problem}. Run `{command} --help` for its options and arguments.")


def fail(sentence: str) -> NoReturn:
    # Keep our own line breaks: each problem is on a separate line.
    typer.echo("rankscope: " + "\n".join(printable(line) for line in sentence.split("\n")), err=True)
    raise typer.Exit(1)

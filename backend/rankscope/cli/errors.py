"""Every failure of a command that was to be expected: one sentence on standard error, and exit code 1."""

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
    """A usage error is one sentence and exit code 1, like everything else that keeps a command from starting."""

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
    """Turns an expected error into its sentence on standard error and exit code 1."""
    try:
        yield
    except (RankScopeError, StartupError) as error:
        fail(error.detail)
    except UnicodeError as error:
        fail(f"A text is not UTF-8 ({error.reason if hasattr(error, 'reason') else error}).")
    except BrokenPipeError:
        raise  # of `rankscope runs | head`: typer ends quietly
    except OSError as error:
        fail(f"{error.filename or 'A file'} cannot be used: {error.strerror or error}.")
    except httpx.RequestError as error:
        fail(f"The server's answer cannot be read: {error}.")
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@contextmanager
def starting() -> Iterator[None]:
    """`one_sentence` for what works on this machine's data folder and database; their files are for its owner alone."""
    keep_files_private()
    with one_sentence():
        try:
            yield
        except (OSError, SQLAlchemyError, RedisError) as error:
            raise StartupError(f"RankScope cannot go on ({type(error).__name__}: {line_of(error)}).") from error


# Typer has a copy of click of its own, whose classes it does not name in public.
_UsageError: type[Any] = typer.BadParameter.__mro__[1]


@contextmanager
def _usage() -> Iterator[None]:
    """Turns an unknown option, a missing argument or an unusable value into one sentence and exit code 1."""
    try:
        yield
    except _UsageError as error:
        problem = " ".join(error.format_message().split()).rstrip(".")
        command = error.ctx.command_path if error.ctx else "rankscope"
        fail(f"{problem}. Run `{command} --help` to see what it accepts.")


def fail(sentence: str) -> NoReturn:
    # Line breaks are ours: each problem of a refusal has a line of its own.
    typer.echo("rankscope: " + "\n".join(printable(line) for line in sentence.split("\n")), err=True)
    raise typer.Exit(1)

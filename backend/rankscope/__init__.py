"""RankScope's server: contract, store, API and command line. Never imports torch or the worker."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rankscope.client import Client

__version__ = "0.1.0"
__all__ = ["Client", "__version__"]


def __getattr__(name: str) -> Any:
    # Import the client only when it is used.
    if name == "Client":
        from rankscope.client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

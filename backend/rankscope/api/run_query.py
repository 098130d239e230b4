"""The filter and order of a list of runs, as parameters of several routes."""

from typing import Annotated

from fastapi import Depends, Query

from rankscope.api.deps import NowDep
from rankscope.contract.status import RunStatus
from rankscope.store.listing import filter_text
from rankscope.store.listing.run_list import Filter

_NO_NUL = r"^[^\x00]*$"
"""PostgreSQL does not accept NUL, not even in a comparison."""
_Tag = Annotated[str, Query(max_length=50, pattern=_NO_NUL)]
_MethodName = Annotated[str, Query(max_length=50, pattern=_NO_NUL)]


def _filter(
    now: NowDep,
    status: Annotated[list[RunStatus] | None, Query(max_length=20, description="Any of these.")] = None,
    tag: Annotated[list[_Tag] | None, Query(max_length=50, description="All of these tags, case-sensitive.")] = None,
    method: Annotated[list[_MethodName] | None, Query(max_length=20, description="Any of these.")] = None,
    search: Annotated[
        str,
        Query(max_length=200, pattern=_NO_NUL, description="Words in name, id, model or data set; case is ignored."),
    ] = "",
    filter: Annotated[
        str,
        Query(
            max_length=filter_text.LONGEST,
            description="Condition in the filter language: `config.method.target_rank <= 8 and tag = a`.",
        ),
    ] = "",
) -> Filter:
    return Filter(statuses=status or (), tags=tag or (), methods=method or (), search=search, text=filter, now=now)


FilterDep = Annotated[Filter, Depends(_filter)]
Sort = Annotated[
    str,
    Query(
        max_length=200,
        description="Field to sort by, for example `created` or `metrics.eval_loss.best`, with a leading - to reverse. "
        "Runs without a value come last.",
    ),
]
Columns = Annotated[
    list[str] | None, Query(max_length=100, description="Fields to return as cells, repeated or separated by commas.")
]


def names_of(columns: list[str]) -> list[str]:
    """Flattens a list in which each text may have several names, separated by commas outside quotation marks."""
    found: list[str] = []
    for text in columns:
        part = ""
        is_quoted = False
        for letter in text:
            is_quoted ^= letter == '"'
            if letter == "," and not is_quoted:
                found.append(part)
                part = ""
            else:
                part += letter
        found.append(part)
    return [name.strip() for name in found if name.strip()]

"""Downloads of models and data sets from the hub: the request, and what the worker returns."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

_PART = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_HUB_ID = re.compile(rf"{_PART}(/{_PART})?")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
DOWNLOADS = ".downloads"
"""Folder in the models folder for what is not complete; models there are not listed."""


def _check_hub_id(given: str) -> str:
    if not _HUB_ID.fullmatch(given) or ".." in given:
        raise PydanticCustomError("not_on_the_hub", "must be a name on the hub, such as facebook/bart-base")
    return given


def _check_revision(given: str) -> str:
    if not _REVISION.fullmatch(given) or ".." in given:
        raise PydanticCustomError("not_a_revision", "must be a branch, tag or commit, such as main")
    return given


HubId = Annotated[str, Field(max_length=150), AfterValidator(_check_hub_id)]
Subset = Annotated[str, Field(min_length=1, max_length=200)]
Revision = Annotated[str, Field(max_length=200), AfterValidator(_check_revision)]


class DownloadPayload(BaseModel):
    """The payload of a `download_model` job."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    hub_id: HubId = Field(examples=["facebook/bart-base"])
    revision: Revision = "main"
    """A branch, tag or commit."""


class DownloadResult(BaseModel):
    """The result of a `download_model` job."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    model_id: str
    revision: str
    """The commit."""
    size_bytes: int


class DataDownloadPayload(BaseModel):
    """The payload of a `download_data` job."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    hub_id: HubId = Field(examples=["nyu-mll/glue"])
    revision: Revision = "main"
    """A branch, tag or commit."""
    subset: Subset | None = None
    """Null: the only or the default one."""


class DataDownloadResult(BaseModel):
    """The result of a `download_data` job."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    dataset_id: str
    revision: str
    """The commit."""
    subset: str


def folder_name(hub_id: str) -> str:
    """Returns the name of a download's folder; letters, digits and `._-` only."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", hub_id.replace("/", "--"))

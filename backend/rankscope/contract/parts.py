"""The base class of all parts of the configuration."""

from pydantic import BaseModel, ConfigDict, ValidationInfo
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError


class Part(BaseModel):
    """A part of the configuration. Unknown names are rejected, so a typo is never ignored."""

    # strict: true is not a number and "8" is text, as in JSON. An integer is accepted for a float.
    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False, strict=True
    )


STORED = "stored"


def is_stored(info: ValidationInfo) -> bool:
    """Whether this is the configuration of a stored run, to which later rules don't apply."""
    return bool(info.context and info.context.get(STORED))


def advanced() -> JsonDict:
    return {"x-advanced": True}


def refuse(field: str, value: object, message: str, next_step: str, at: tuple[str, ...] = ()) -> PydanticCustomError:
    """Returns an error with its field (`contract.problems` moves it there) and the next step."""
    return PydanticCustomError(
        "cannot_work",
        "{message}",
        {"field": [*at, field], "value": value, "message": message, "next_step": next_step},
    )

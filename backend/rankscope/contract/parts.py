"""What every part of the configuration is made of."""

from pydantic import BaseModel, ConfigDict, ValidationInfo
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError


class Part(BaseModel):
    """A part of the configuration. Unknown names are refused, so a typo is never ignored."""

    # strict: true is not a number and "8" is text, as in JSON itself; a whole number may stand for a number with a fraction.
    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False, strict=True
    )


STORED = "stored"


def is_stored(info: ValidationInfo) -> bool:
    """Whether this is the configuration of a stored run, to which rules that came later do not apply."""
    return bool(info.context and info.context.get(STORED))


def advanced() -> JsonDict:
    return {"x-advanced": True}


def refuse(field: str, value: object, message: str, next_step: str, at: tuple[str, ...] = ()) -> PydanticCustomError:
    """An error that carries its own field (`contract.problems` moves it there) and what to do about it."""
    return PydanticCustomError(
        "cannot_work",
        "{message}",
        {"field": [*at, field], "value": value, "message": message, "next_step": next_step},
    )

"""What every section is made of: a frozen mapping that knows its keys, and numbers that know their range."""

import difflib
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _refuse_flag(value: Any) -> Any:
    """What was found, unless it is true or false, which Python would count as 1 and 0."""
    if isinstance(value, bool):
        raise ValueError(f"found {value}, needs a whole number")  # noqa: TRY004  # pydantic refuses by a ValueError alone
    return value


PositiveInt = Annotated[int, BeforeValidator(_refuse_flag), Field(ge=1)]
NonNegativeInt = Annotated[int, BeforeValidator(_refuse_flag), Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
DropoutRatio = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """Keys that are misspelt are refused, with the one that was probably meant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _suggest_keys(cls, data: Any) -> Any:
        """Name the key that was probably meant, which pydantic's own message does not."""
        if isinstance(data, dict):
            for key in (key for key in data if key not in cls.model_fields):
                near = difflib.get_close_matches(str(key), cls.model_fields, n=1)
                hint = f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(cls.model_fields)}"
                raise ValueError(f"`{key}` is not a key here; {hint}")
        return data

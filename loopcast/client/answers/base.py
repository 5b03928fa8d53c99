"""What every answer has in common."""

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """What the service answers; what a newer one says beside it is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

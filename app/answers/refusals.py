"""What is answered when a request is refused."""

from app.answers.base import Answer
from app.errors import ErrorCode


class ErrorDetail(Answer):
    """One mistake in a request."""

    where: str
    message: str


class ErrorSentence(Answer):
    """Why a request was refused."""

    code: ErrorCode
    message: str
    """What was found, what is needed, the next step."""
    request_id: str
    details: list[ErrorDetail] | None = None


class ErrorAnswer(Answer):
    """The one shape of every refusal."""

    error: ErrorSentence

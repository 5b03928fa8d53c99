"""What is wrong with a problem's YAML, in sentences: each value that was found, and what is needed in its place."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError

NEEDS: Final[Mapping[str, str]] = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text; put it in quotes",
    "string_too_short": "text",
    "tuple_type": "a list such as [a, b]",
    "model_type": "a mapping of keys",
    "literal_error": "{expected}",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length} items",
}
"""What a value of each kind of mistake should have been, by pydantic's name of the mistake."""

MAX_SHOWN_CHARACTERS: Final = 60


def describe_mistakes(refusal: ValidationError) -> Iterator[str]:
    """One sentence for each mistake, in the order of the keys."""
    for error in refusal.errors(include_url=False):
        where, kind = _path(error["loc"]), error["type"]
        if kind == "missing":
            yield f"{where}: this key is missing; add it"
        elif needs := NEEDS.get(kind):
            yield f"{where}: found {_show(error['input'])}, needs {needs.format(**error.get('ctx', {}))}"
        else:
            what = error["msg"].removeprefix("Value error, ")
            yield f"{where}: {what}" if where else what


def _path(keys: tuple[int | str, ...]) -> str:
    """The way to a key, as one writes it: `columns.covariates[0].column`."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).removeprefix(".")


def _show(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= MAX_SHOWN_CHARACTERS else f"{shown[:MAX_SHOWN_CHARACTERS]}…"

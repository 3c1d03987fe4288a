"""What Postgres can hold: texts and row numbers that would only fail inside a query."""

from collections.abc import Iterator
from typing import Any

from searchapp.errors import InvalidInput

MAX_ROW_ID = 2**63 - 1


def is_storable(text: str) -> bool:
    """Whether a text can be a text of Postgres: no NUL, nothing that UTF-8 has no bytes for."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text


def require_storable(text: str, field: str) -> None:
    """Raises InvalidInput naming the field unless the text is storable."""
    if not is_storable(text):
        raise InvalidInput(
            "invalid_text", f"{field} has a sign that texts may not have, like NUL.", field=field
        )


def is_row_id(number: int) -> bool:
    """Whether a row can have this number."""
    return 0 <= number <= MAX_ROW_ID


def texts_of(value: Any) -> Iterator[str]:
    """All texts inside a JSON value, its keys too. Raises RecursionError."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from texts_of(key)
            yield from texts_of(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts_of(inner)

"""One statement of a search: with settings of its own, in one round trip, bounded in time."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import OperationalError, connection
from psycopg.errors import QueryCanceled

from searchapp.errors import Unavailable

TIMEOUT_MS = 5_000


@dataclass(frozen=True, slots=True)
class Statement:
    """What is sent: settings of this transaction only, the query, its parameters.

    Every one ends after TIMEOUT_MS: a search is answered soon, or refused.
    """

    settings: Mapping[str, object]
    sql: str
    parameters: Mapping[str, Any]

    @property
    def text(self) -> str:
        """Settings and query as one message, so one round trip and one transaction."""
        settings = {"statement_timeout": TIMEOUT_MS, "jit": "off", **self.settings}
        return " ".join(f"SET LOCAL {name} = {value};" for name, value in settings.items()) + (
            self.sql
        )


def statement_run(statement: Statement) -> list[tuple[Any, ...]]:
    """The rows. Raises Unavailable `search_timeout`."""
    with time_limit_told(), connection.cursor() as cursor:
        cursor.execute(statement.text, statement.parameters)
        while cursor.description is None:
            cursor.nextset()
        return list(cursor.fetchall())


@contextmanager
def time_limit_told() -> Iterator[None]:
    """A statement that Postgres ended for its time is no fault, but too much to do now."""
    try:
        yield
    except OperationalError as error:
        if not isinstance(error.__cause__, QueryCanceled):
            raise
        raise Unavailable(
            "search_timeout", "The search took too long: narrow it, or try again."
        ) from error

"""One statement of a search: with settings of its own, in one round trip, bounded in time."""

from collections.abc import Mapping
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
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement.text, statement.parameters)
            while cursor.description is None:
                cursor.nextset()
            return list(cursor.fetchall())
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise Unavailable(
                "search_timeout", "The search took too long; narrow it, or try again."
            ) from error
        raise

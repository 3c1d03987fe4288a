"""Whose turn it is to have pictures read: few at a time, for others only ask with words.

Knows no stage. A picture's reading takes seconds of all cores and holds the request meanwhile.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from searchapp import engine
from searchapp.errors import Unavailable
from searchapp.room import Full, Room
from searchapp.search.query import Query

_WAIT_S = 10.0
# Those that wait hold a turn at the web server: half of the turns are left for words.
_here = Room(max(1, settings.WEB_THREADS // 2))
_at_work = Room(max(1, settings.WEB_THREADS // 4))


@contextmanager
def picture_turn(query: Query) -> Iterator[None]:
    """At once for words. Raises Unavailable `overloaded` when too many pictures are asked."""
    if not any(isinstance(part, engine.ImagePart) for part in query.parts):
        yield
        return
    try:
        with _here.taken(wait_s=0), _at_work.taken(wait_s=_WAIT_S):
            yield
    except Full as error:
        raise Unavailable(
            "overloaded", "Many ask with pictures just now: try again in a moment, or ask in words."
        ) from error

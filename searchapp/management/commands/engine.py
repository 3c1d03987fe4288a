"""`manage.py engine`: hold the models of the indexes and serve them until a signal."""

import logging
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection

from embedding_engine.errors import EngineError
from searchapp import engine
from searchapp.models import Index
from searchapp.services import addresses

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    """Exit status 1 with the reason when the model cannot be loaded or the address is taken.

    The model is that of the active index, before the first one EMBEDDING_MODEL. Those of indexes
    that are being built follow when it answers; any other when somebody needs it.
    """

    help = "Serve the models of the indexes: on the socket of DATA_DIR, or on --host and --port."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="with --port: address to bind to")
        parser.add_argument("--port", type=int, help="listen on TCP for other machines")

    def handle(self, *args: Any, host: str, port: int | None, **options: Any) -> None:
        # torch is imported by these, and by no other command.
        from embedding_engine.engine import make_engine
        from embedding_engine.pool import ModelPool
        from embedding_engine.server import serve

        keys = frozenset({settings.ENGINE_API_KEY} - {""})
        # Who may have models loaded is known on the private socket, and by the key.
        may_load = port is None or bool(keys)
        pool = ModelPool(make_engine, engine.model_options(), may_load=may_load)
        first, *others = _sources()
        try:
            pool.load(first)
            for source in others:
                pool.load_soon(source)
            if port is None:
                serve(pool, uds=addresses.engine_socket(settings.ENV, settings.DATA_DIR))
            else:
                serve(pool, host=host, port=port, api_keys=keys)
        except EngineError as error:
            raise CommandError(str(error)) from error


def _sources() -> list[engine.ModelSource]:
    """What the indexes need, the active one's first; the settings' without a database."""
    live = (Index.State.ACTIVE, Index.State.BUILDING)
    try:
        rows = list(Index.objects.filter(state__in=live).order_by("state", "pk"))
    except DatabaseError as error:
        # On the first start there are no tables; on another machine there may be no database.
        logger.info("no index can be read, EMBEDDING_MODEL is served: %s", error)
        rows = []
    finally:
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]
    sources = [row.source_get() for row in rows]
    is_active = bool(rows) and rows[0].state == Index.State.ACTIVE
    return sources if is_active else [engine.configured(), *sources]

"""`manage.py up`: run the whole product until Ctrl-C."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper

from searchapp.errors import SearchappError
from searchapp.services.stack import AlreadyRunning, Stack, stack_run

EXIT_ALREADY_RUNNING = 3


class Command(BaseCommand):
    """Exit status: 0 after Ctrl-C or SIGTERM, 3 when it already runs, 1 when it cannot start."""

    help = "Start database, Redis, engine, web server, workers and beat; Ctrl-C stops them all."

    def handle(self, *args: Any, **options: Any) -> None:
        stack = Stack(
            env=settings.ENV,
            data_dir=settings.DATA_DIR,
            signin_path=self._signin_path,
            note=self._note,
            say=self._say,
        )
        try:
            stack_run(stack)
        except AlreadyRunning as error:
            raise CommandError(error.message, returncode=EXIT_ALREADY_RUNNING) from error
        except SearchappError as error:
            raise CommandError(error.message) from error

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def _signin_path(self) -> str:
        from searchapp.access import signin_link_create

        with _no_pool_left():
            return signin_link_create()

    def _note(self) -> str:
        from searchapp.renewal import renewal_note

        with _no_pool_left():
            return renewal_note()


@contextmanager
def _no_pool_left() -> Iterator[None]:
    """The pool's threads must be gone before the next child is forked."""
    try:
        yield
    finally:
        for connection in connections.all(initialized_only=True):
            connection.close()
            if isinstance(connection, DatabaseWrapper):
                connection.close_pool()

"""The embedded Postgres of the retrieval benchmark: a cluster of its own, real migrations."""

import os
from contextlib import ExitStack
from pathlib import Path


class Cluster:
    """Postgres as `manage.py up` starts it, below `work`; Django is set up to use it."""

    def __init__(self, work: Path) -> None:
        # Before Django reads its settings; no Redis is needed.
        os.environ.update(
            DATA_DIR=str((work / "postgres").resolve()),
            REDIS_URL="redis://127.0.0.1:1",
            DATABASE_POOL="20",
            EMBEDDING_INPROCESS="1",
            DJANGO_SETTINGS_MODULE="searchapp.settings",
        )
        from searchapp.environment import data_dir_get, environment_read
        from searchapp.services.attach import services_attached

        self._held = ExitStack()
        attached = services_attached(environment_read(), data_dir_get())
        self.pid = self._held.enter_context(attached).service_pids()["postgres"]
        import django

        django.setup()

    def migrate(self) -> None:
        """The product's own tables."""
        from django.core.management import call_command

        call_command("migrate", verbosity=0)

    def close(self) -> None:
        """Stop it, unless another process uses it."""
        self._held.close()

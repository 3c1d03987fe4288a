"""Throw-away services for the tests, and the whole product as a fixture."""

from collections.abc import Iterator

import pytest

from searchapp.environment import data_dir_get, environment_read
from searchapp.services.attach import Attachment, services_attached
from tests import throwaway
from tests.stack import RunningStack, stack_running

if not throwaway.IS_IN_TIME:
    raise pytest.UsageError(
        "Settings were read before the throw-away DATA_DIR was set: "
        "run `python -m pytest -p tests.throwaway ...`"
    )


@pytest.fixture(scope="session")
def services() -> Iterator[Attachment]:
    """Embedded Postgres and Redis of the test run; ask for it where no database mark is used."""
    with services_attached(environment_read(), data_dir_get()) as attachment:
        yield attachment


@pytest.fixture(scope="session")
def django_db_modify_db_settings(services: Attachment) -> None:
    """pytest-django asks for this before it makes the test database: the server runs by then."""


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """`manage.py up` with a DATA_DIR and port of its own and no demo set; fails if it leaves
    a process behind."""
    with stack_running(tmp_path_factory.mktemp("stack") / "data") as running:
        yield running

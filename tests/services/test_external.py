"""Servers that the settings name: silent ones are named before anything starts."""

from pathlib import Path

import pytest

from searchapp.environment import environment_read
from searchapp.errors import Unavailable
from searchapp.services.addresses import addresses_get
from searchapp.services.attach import Attachment
from searchapp.services.external import external_check
from tests import throwaway


@pytest.mark.parametrize(
    ("name", "url", "code"),
    [
        ("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none", "database_unreachable"),
        ("REDIS_URL", "redis://127.0.0.1:1/0", "redis_unreachable"),
    ],
)
def test_a_silent_server_is_named(tmp_path: Path, name: str, url: str, code: str) -> None:
    addresses = addresses_get(environment_read({name: url}), tmp_path)
    with pytest.raises(Unavailable, match=name) as caught:
        external_check(addresses)
    assert caught.value.code == code


def test_servers_that_answer_pass(services: Attachment, tmp_path: Path) -> None:
    running = addresses_get(environment_read({}), throwaway.DATA_DIR)
    named = {"DATABASE_URL": running.database_url, "REDIS_URL": running.redis_url}
    external_check(addresses_get(environment_read(named), tmp_path))

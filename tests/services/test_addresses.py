"""Addresses as Django, its cache and Celery want them. Nothing is started here."""

import pytest

from searchapp.environment import SettingError
from searchapp.services.addresses import (
    celery_broker_url,
    database_options,
    database_settings,
    redis_cache_url,
)


def test_database_url_is_taken_apart() -> None:
    url = "postgresql://us%40er:p%2Fw@db.example:6432/se%20arch?sslmode=require"
    assert database_settings(url) == {
        "NAME": "se arch",
        "USER": "us@er",
        "PASSWORD": "p/w",
        "HOST": "db.example",
        "PORT": "6432",
    }
    assert database_options(url) == {"sslmode": "require"}


def test_database_url_over_a_socket() -> None:
    found = database_settings("postgresql://me@/name?host=/tmp/some/pg")
    assert (found["HOST"], found["NAME"], found["PORT"]) == ("/tmp/some/pg", "name", "")


@pytest.mark.parametrize("url", ["mysql://x/y", "postgresql://x:port/y"])
def test_bad_database_url_names_the_setting(url: str) -> None:
    with pytest.raises(SettingError, match="DATABASE_URL"):
        database_settings(url)


@pytest.mark.parametrize(
    ("url", "cache", "broker"),
    [
        ("unix:///a/r.sock", "unix:///a/r.sock?db=1", "redis+socket:///a/r.sock?virtual_host=0"),
        ("unix:///a/r?db=3", "unix:///a/r?db=3", "redis+socket:///a/r?virtual_host=3"),
        ("rediss://h:1/2", "rediss://h:1/2", "rediss://h:1/2"),
    ],
)
def test_redis_urls(url: str, cache: str, broker: str) -> None:
    assert redis_cache_url(url) == cache
    assert celery_broker_url(url) == broker


def test_bad_redis_url_names_the_setting() -> None:
    with pytest.raises(SettingError, match="REDIS_URL"):
        celery_broker_url("http://h")

"""Settings that cannot be used are named with a hint; commands say what they do not take."""

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections

from searchapp.environment import SettingError, environment_read
from searchapp.models import ApiKey


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("LOG_LEVEL", "LOUD"),
        ("PORT", "99999"),
        ("PORT", "0"),
        ("PORT", "abc"),
        ("MAX_UPLOAD", "lots"),
        ("RENDER_PROCESSES", "0"),
        ("HOST", "http://search.example.org"),
        ("HOST", "not a host"),
        ("HOST", "127.0.0.1:8000"),
    ],
)
def test_a_wrong_setting_is_named(name: str, text: str) -> None:
    with pytest.raises(SettingError, match=f"{name}=.* (use|must be)"):
        environment_read({name: text})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("LOG_LEVEL", "warning", "WARNING"),
        ("PORT", "443", 443),
        ("HOST", "0.0.0.0", "0.0.0.0"),
        ("HOST", "::", "::"),
        ("HOST", "search.example.org", "search.example.org"),
        ("HOST", "localhost", "localhost"),
    ],
)
def test_a_right_one_is_taken(name: str, text: str, value: object) -> None:
    assert environment_read({name: text})[name] == value


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["x" * 101, " ", "a\x00"])
def test_a_key_needs_a_name_that_fits(name: str) -> None:
    with pytest.raises(CommandError, match="1 to 100"):
        call_command("apikey_create", name)
    assert not ApiKey.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_postgres_closed_is_not_handed_out() -> None:
    other = connections.create_connection("default")
    other.ensure_connection()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        ours = cursor.fetchone()
    connection.close()  # back into the pool
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", ours)
        assert cursor.fetchone() == (True,)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    other.close()

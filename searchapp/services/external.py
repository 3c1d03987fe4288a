"""Services that the settings name instead of the embedded ones: do they answer at all?"""

import psycopg
import redis

from searchapp.errors import Unavailable
from searchapp.services.addresses import Addresses

_SECONDS = 5


def external_check(addresses: Addresses) -> None:
    """Raises Unavailable naming the setting whose server does not answer."""
    if not addresses.is_database_embedded:
        _database_check(addresses.database_url)
    if not addresses.is_redis_embedded:
        _redis_check(addresses.redis_url)


def _database_check(url: str) -> None:
    try:
        psycopg.connect(url, connect_timeout=_SECONDS).close()
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[0]
        raise Unavailable(
            "database_unreachable",
            f"DATABASE_URL: the server does not let us in ({reason}). Check the address and that "
            "it runs, or unset DATABASE_URL to use the embedded Postgres.",
        ) from error


def _redis_check(url: str) -> None:
    client = redis.Redis.from_url(
        url, socket_connect_timeout=_SECONDS, socket_timeout=_SECONDS, retry=None
    )
    try:
        client.ping()
    except (redis.RedisError, OSError) as error:
        raise Unavailable(
            "redis_unreachable",
            f"REDIS_URL: the server does not answer ({error}). Check the address and that it runs, "
            "or unset REDIS_URL to use the embedded Redis.",
        ) from error
    finally:
        client.close()

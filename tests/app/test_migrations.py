"""An installation of an earlier version with pages becomes this one, however long it takes."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from searchapp.models import Embedding, Page
from searchapp.models.indexes import index_active
from tests.app.conftest import People, ingested, pdf_make

pytestmark = pytest.mark.django_db(transaction=True)

# Makes those statements slower than the limit that each connection of the product has.
SLOW = """
CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    IF current_query() ~ '(USING hnsw|page_found|document_metadata)' THEN
        PERFORM pg_sleep(1.1);
    END IF;
END $$;
CREATE EVENT TRIGGER slow ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION slow();
"""


@contextmanager
def slow_and_limited(seconds: int) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(SLOW)
        cursor.execute(f"SET statement_timeout = '{seconds}s'")
        try:
            yield
        finally:
            cursor.execute("SET statement_timeout = 0")
            cursor.execute("DROP EVENT TRIGGER slow")
            cursor.execute("DROP FUNCTION slow")
            cursor.execute("SET statement_timeout = '60s'")


def test_what_is_built_of_all_pages_may_take_longer_than_a_search(people: People) -> None:
    ingested(people, pdf_make(), "report.pdf")
    Embedding.objects.filter(lane="passage").delete()  # the earlier version had none
    vectors = set(Embedding.objects.values_list("page_id", "lane", "position"))
    newest = MigrationExecutor(connection).loader.graph.leaf_nodes()
    MigrationExecutor(connection).migrate([("searchapp", "0002_embedding")])
    try:
        with slow_and_limited(1):
            MigrationExecutor(connection).migrate(newest)
    finally:
        MigrationExecutor(connection).migrate(newest)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_indexes WHERE indexname LIKE %s",
            [f"searchapp_embedding_{index_active().pk}_bits_%"],
        )
        assert cursor.fetchone() == (2,)
    assert set(Embedding.objects.values_list("page_id", "lane", "position")) == vectors
    assert Page.objects.filter(step="done").count() == 3

"""The embedding table: partitioned by index, which Django's schema editor cannot express."""

from django.db import migrations

FORWARD = """
CREATE TABLE searchapp_embedding (
    index_id bigint NOT NULL REFERENCES searchapp_index (id),
    page_id bigint NOT NULL REFERENCES searchapp_page (id) ON DELETE CASCADE,
    collection_id bigint NOT NULL,
    lane varchar(5) NOT NULL,
    position smallint NOT NULL,
    bits varbit NOT NULL,
    vec halfvec NOT NULL,
    PRIMARY KEY (page_id, lane, position, index_id)
) PARTITION BY LIST (index_id);
"""


class Migration(migrations.Migration):
    dependencies = [("searchapp", "0001_initial")]

    operations = [
        migrations.RunSQL(FORWARD, "DROP TABLE searchapp_embedding;"),
    ]

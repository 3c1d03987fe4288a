"""The embedding table: partitioned by index, which Django's schema editor cannot express."""

import django.db.models.deletion
import pgvector.django.halfvec
from django.db import migrations, models

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
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(FORWARD, "DROP TABLE searchapp_embedding;")],
            state_operations=[
                migrations.CreateModel(
                    name="Embedding",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "page_id",
                                "lane",
                                "position",
                                "index_id",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        (
                            "lane",
                            models.CharField(
                                choices=[("image", "Image"), ("text", "Text")], max_length=5
                            ),
                        ),
                        ("position", models.SmallIntegerField()),
                        ("vec", pgvector.django.halfvec.HalfVectorField()),
                        (
                            "collection",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="searchapp.collection",
                            ),
                        ),
                        (
                            "index",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="embeddings",
                                to="searchapp.index",
                            ),
                        ),
                        (
                            "page",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="embeddings",
                                to="searchapp.page",
                            ),
                        ),
                    ],
                )
            ],
        ),
    ]

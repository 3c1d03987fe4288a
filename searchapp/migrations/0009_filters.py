"""What filters look up: the searchable pages, and the documents' metadata."""

import django.contrib.postgres.indexes
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("searchapp", "0007_index_changes")]

    operations = [
        # Goes through all pages.
        migrations.RunSQL("SET LOCAL statement_timeout = 0", migrations.RunSQL.noop),
        migrations.AddIndex(
            model_name="document",
            index=django.contrib.postgres.indexes.GinIndex(
                fields=["metadata"], name="document_metadata", opclasses=["jsonb_path_ops"]
            ),
        ),
        migrations.AddIndex(
            model_name="page",
            index=models.Index(
                condition=models.Q(("step", "done")),
                fields=["language", "document", "number", "id"],
                name="page_found",
            ),
        ),
    ]

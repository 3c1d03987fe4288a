"""Pages of before lack words, languages and points as this version makes them."""

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def leave_renewal(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """All pages that are there, and none of an installation that begins."""
    last = apps.get_model("searchapp", "Page").objects.order_by("-pk").first()
    if last is not None:
        apps.get_model("searchapp", "Renewal").objects.create(until=last.pk)


class Migration(migrations.Migration):
    dependencies = [("searchapp", "0013_index_starting")]

    operations = [
        migrations.CreateModel(
            name="Renewal",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("done", models.BigIntegerField(default=0)),
                ("until", models.BigIntegerField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.RunPython(leave_renewal, migrations.RunPython.noop),
    ]

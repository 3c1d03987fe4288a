"""Indexes that are only begun; what is claimed next is found without sorting what waits."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("searchapp", "0012_pictures")]

    operations = [
        migrations.AlterField(
            model_name="index",
            name="state",
            field=models.CharField(
                choices=[
                    ("starting", "Starting"),
                    ("building", "Building"),
                    ("active", "Active"),
                    ("retired", "Retired"),
                ],
                default="building",
                max_length=16,
            ),
        ),
        migrations.AddIndex(
            model_name="pendingpage",
            index=models.Index(
                condition=models.Q(("failed", False)),
                fields=["index", "id"],
                name="pendingpage_waiting",
            ),
        ),
    ]

"""Keypoints of pages, out of line: a row is read for each word that a page shares."""

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("searchapp", "0011_passages"),
    ]

    operations = [
        migrations.CreateModel(
            name="PageKeypoints",
            fields=[
                (
                    "page",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="keypoints",
                        serialize=False,
                        to="searchapp.page",
                    ),
                ),
                (
                    "words",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.IntegerField(), size=None
                    ),
                ),
                ("points", models.BinaryField()),
                (
                    "collection",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="searchapp.collection",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "keypoints of pages",
                "indexes": [
                    django.contrib.postgres.indexes.GinIndex(
                        fastupdate=False, fields=["words"], name="page_keypoint_words"
                    )
                ],
            },
        ),
        migrations.RunSQL(
            "ALTER TABLE searchapp_pagekeypoints SET (toast_tuple_target = 128)",
            migrations.RunSQL.noop,
        ),
    ]

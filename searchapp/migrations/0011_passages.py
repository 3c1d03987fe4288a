"""A third lane: passages, by which pages that another lane found are scored."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("searchapp", "0009_filters")]

    operations = [
        migrations.AlterField(
            model_name="embedding",
            name="lane",
            field=models.CharField(
                choices=[("image", "Image"), ("text", "Text"), ("passage", "Passage")], max_length=8
            ),
        ),
    ]

"""What was measured of an index, with its date: figures that take too long to make on request."""

from django.db import models

from searchapp.models.indexes import Index


class Measurement(models.Model):
    """One run of `manage.py recall`: the figures as its JSON."""

    index = models.ForeignKey(Index, on_delete=models.CASCADE, related_name="measurements")
    created_at = models.DateTimeField(auto_now_add=True)
    figures = models.JSONField()

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"recall of {self.index} at {self.created_at:%Y-%m-%d %H:%M}"

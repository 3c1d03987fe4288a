"""What the picture of a page looks like, in a table of its own: only picture queries fetch it."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models

from searchapp.models.collections import Collection
from searchapp.models.documents import Page


class PageKeypoints(models.Model):
    """The keypoints of one page's picture; no points where there is nothing to see.

    words: looked up by GIN. points: `engine.Keypoints.to_bytes`. Both lie out of line (migration),
    so that counting pages by their words reads rows of 60 bytes.
    """

    page = models.OneToOneField(
        Page, on_delete=models.CASCADE, primary_key=True, related_name="keypoints"
    )
    # As in Embedding: rights are asked for inside the look-up.
    collection = models.ForeignKey(
        Collection, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    words = ArrayField(models.IntegerField())
    points = models.BinaryField()

    class Meta:
        verbose_name_plural = "keypoints of pages"
        indexes = [GinIndex(fields=["words"], name="page_keypoint_words", fastupdate=False)]

    def __str__(self) -> str:
        return f"keypoints of page {self.page_id}"

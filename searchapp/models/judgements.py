"""Queries that people judged: which page answers them and which does not."""

from django.conf import settings
from django.db import models
from django.db.models.functions import MD5

from searchapp.models.documents import Page


class JudgedQuery(models.Model):
    """What was asked: words, a picture, or both; the same question is one row."""

    text = models.TextField(blank=True)
    picture = models.CharField(max_length=300, blank=True, help_text="Name in storage")
    kind = models.CharField(max_length=40, blank=True, help_text="For figures by kind")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "judged queries"
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(MD5("text"), "picture", name="judged_query_once"),
        ]

    def __str__(self) -> str:
        return self.text[:80] or "a picture"


class Judgement(models.Model):
    """One person's verdict on one page for one query."""

    query = models.ForeignKey(JudgedQuery, on_delete=models.CASCADE, related_name="judgements")
    page = models.ForeignKey(Page, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    is_relevant = models.BooleanField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["query", "page", "user"], name="judgement_once", nulls_distinct=False
            ),
        ]

    def __str__(self) -> str:
        return f"{self.page}: {'answers' if self.is_relevant else 'does not answer'}"

"""Secrets that let someone in: API keys and one-time sign-in links. Only hashes are stored."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from searchapp.models.collections import Collection


class ApiKey(models.Model):
    """A bearer key of the API. It acts as its user, narrowed by scopes and collections."""

    class Scope(models.TextChoices):
        SEARCH = "search", "Search and read"
        UPLOAD = "upload", "Upload and delete documents"
        COLLECTIONS = "collections", "Create collections"
        EMBED = "embed", "Use the Embed API"

    name = models.CharField(max_length=100)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    prefix = models.CharField(max_length=12, editable=False)
    secret_hash = models.CharField(max_length=64, unique=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=20, choices=Scope.choices), default=list)
    is_bound = models.BooleanField(
        "only the collections below",
        default=False,
        help_text="Otherwise the key reaches all that its user may see",
    )
    collections = models.ManyToManyField(Collection, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class SigninLink(models.Model):
    """A link that signs its user in once, as printed by `make up`."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    secret_hash = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"sign-in link of {self.user}"

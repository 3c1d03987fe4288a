"""Collections and who belongs to them. What membership allows is decided in `access`."""

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models


class Collection(models.Model):
    """A named set of documents with members and rights."""

    class Visibility(models.TextChoices):
        PRIVATE = "private", "Members only"
        EVERYONE = "everyone", "Everyone who can sign in"

    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=100, unique=True)
    visibility = models.CharField(
        max_length=16, choices=Visibility.choices, default=Visibility.PRIVATE
    )
    is_demo = models.BooleanField(default=False, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """One user's or group's role in a collection."""

    class Role(models.TextChoices):
        VIEWER = "viewer", "Viewer: searches and reads"
        EDITOR = "editor", "Editor: uploads and deletes too"
        OWNER = "owner", "Owner: manages members too"

    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    group = models.ForeignKey(
        Group, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.VIEWER)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="membership_user_xor_group",
                condition=models.Q(user__isnull=True) ^ models.Q(group__isnull=True),
            ),
            models.UniqueConstraint(
                name="membership_once", fields=["collection", "user", "group"], nulls_distinct=False
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user or self.group}: {self.role}"

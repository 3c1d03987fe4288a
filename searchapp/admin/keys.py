"""API keys in the admin. The secret is shown once, when the key is made; the hash never."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from searchapp import access
from searchapp.admin.base import RowAdmin, column
from searchapp.admin.site import site
from searchapp.models import ApiKey


class ApiKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    """Scopes as boxes to tick."""

    scopes = forms.MultipleChoiceField(
        choices=ApiKey.Scope.choices,
        initial=list(access.DEFAULT_KEY_SCOPES),
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )

    class Meta:
        model = ApiKey
        fields = ("name", "user", "scopes", "is_bound", "collections", "expires_at")

    def clean(self) -> dict[str, Any]:
        """Raises ValidationError for collections that would bound nothing."""
        values: dict[str, Any] = super().clean() or {}
        if values.get("collections") and not values.get("is_bound"):
            self.add_error("is_bound", "Tick this, or choose no collections.")
        return values


@admin.register(ApiKey, site=site)
class ApiKeyAdmin(RowAdmin):
    """A key acts as its user, narrowed by scopes and collections."""

    form = ApiKeyForm
    list_display = ("name", "prefix", "user", "scope_names", "last_used_at", "expires_at")
    list_select_related = ("user",)
    list_filter = ("user",)
    search_fields = ("name", "prefix", "user__username")
    autocomplete_fields = ("user", "collections")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """What only a stored key has comes when it is stored."""
        chosen = ("name", "user", "scopes", "is_bound", "collections", "expires_at")
        return (*chosen, "prefix", "created_at", "last_used_at") if obj else chosen

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A key cannot be given to another user: make a new one."""
        return ("user", "prefix", "created_at", "last_used_at") if obj else ()

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        """A new key is made by `access`; its secret goes into one message."""
        if change:
            obj.save()
            return
        scopes, user = tuple(obj.scopes), form.cleaned_data["user"]
        secret = access.apikey_create(name=obj.name, user=user, scopes=scopes)
        made = ApiKey.objects.filter(user=user, prefix=secret[: len("sk_") + 5]).latest("pk")
        obj.pk, obj.prefix, obj.secret_hash = made.pk, made.prefix, made.secret_hash
        obj.created_at = made.created_at
        obj.save(force_update=True)
        messages.warning(
            request, f"Copy the key of '{obj.name}' now, it is shown only once: {secret}"
        )

    @column("Scopes")
    def scope_names(self, row: ApiKey) -> str:
        """With commas."""
        return ", ".join(row.scopes)

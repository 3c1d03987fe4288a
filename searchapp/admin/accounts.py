"""Users and groups as Django has them, in unfold's dress; and one-time sign-in links."""

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from searchapp import access
from searchapp.admin.base import RowAdmin
from searchapp.admin.site import site

_LINK_HOURS = 24


@admin.register(User, site=site)
class UserAdmin(DjangoUserAdmin, RowAdmin):  # type: ignore[type-arg]
    """Superusers see the admin and every collection; others what their memberships give."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "is_superuser", "is_active", "last_login")
    list_filter = ("is_superuser", "is_active", "groups")
    filter_horizontal = ()
    autocomplete_fields = ("groups",)
    # Staff and single permissions mean nothing here: rights come with memberships.
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Rights", {"fields": ("is_active", "is_superuser", "groups")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")
    actions = ("signin_link",)

    @admin.action(description="Make a one-time sign-in link")
    def signin_link(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """For people without a password, or who forgot it; shown once each."""
        for user in queryset.filter(is_active=True):
            url = request.build_absolute_uri(
                access.signin_link_create(user=user, hours=_LINK_HOURS)
            )
            text = f"{user} can sign in once within {_LINK_HOURS} hours: {url}"
            messages.warning(request, text)


@admin.register(Group, site=site)
class GroupAdmin(DjangoGroupAdmin, RowAdmin):
    """A named set of users, for memberships."""

    fields = ("name",)
    filter_horizontal = ()

"""Collections and their members in the admin."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import TabularInline
from unfold.forms import PaginationInlineFormSet

from searchapp import library
from searchapp.access import Actor
from searchapp.admin.base import RowAdmin, column, documents_summary
from searchapp.admin.site import site
from searchapp.models import Collection, Document, Membership, Page


class MembershipFormSet(PaginationInlineFormSet):  # type: ignore[misc]  # unfold has no types
    """Nobody twice: Django leaves constraints that name the parent row to the database."""

    def clean(self) -> None:
        """Raises ValidationError for a user or group that stands twice."""
        super().clean()
        seen = set()
        for form in self.forms:
            values = getattr(form, "cleaned_data", None) or {}
            if not values or values.get("DELETE"):
                continue
            member = (values.get("user"), values.get("group"))
            if any(member) and member in seen:
                raise ValidationError(f"{member[0] or member[1]} is a member already.")
            seen.add(member)


class MembershipInline(TabularInline):  # type: ignore[misc]  # unfold has no types
    """Who belongs to the collection, and what they may do."""

    model = Membership
    formset = MembershipFormSet
    autocomplete_fields = ("user", "group")
    extra = 0


@admin.register(Collection, site=site)
class CollectionAdmin(RowAdmin):
    """Deleting one takes its documents along, with vectors and files."""

    list_display = ("name", "slug", "visibility_label", "documents", "upload_link")
    list_filter = ("visibility",)
    search_fields = ("name", "slug")
    fields = ("name", "slug", "visibility")
    inlines = (MembershipInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Collection]:
        """With the counts of `library.collection_list`."""
        return library.collection_list(Actor.from_user(request.user)).order_by("name")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Programs name a collection by its slug: it stays."""
        return ("slug",) if obj else ()

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        """The slug is proposed from the name."""
        return {} if obj else {"slug": ("name",)}

    def get_inlines(self, request: HttpRequest, obj: Any) -> tuple[Any, ...]:
        """Members are chosen once the collection and its first owner are there."""
        return self.inlines if obj else ()

    def save_model(self, request: HttpRequest, obj: Collection, form: Any, change: bool) -> None:
        """A new collection is made as everywhere: its maker owns it."""
        if change:
            obj.save()
            return
        made = library.collection_create(
            actor=Actor.from_user(request.user),
            name=obj.name,
            slug=obj.slug,
            visibility=obj.visibility,
        )
        obj.pk = made.pk
        obj.refresh_from_db()

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """What goes along, as a summary: the full tree may be a million rows."""
        documents = Document.objects.filter(collection__in=objs)
        pages = Page.objects.filter(document__collection__in=objs)
        shown = [*(str(item) for item in objs), documents_summary(documents, pages)]
        counts = {"collections": len(objs), "documents": documents.count(), "pages": pages.count()}
        return shown, counts, set(), []

    def delete_model(self, request: HttpRequest, obj: Collection) -> None:
        """Documents first, each with its vectors and files."""
        library.collection_delete(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Collection]) -> None:
        """One by one, as above."""
        for collection in queryset:
            self.delete_model(request, collection)

    @column("Visibility", ordering="visibility", label={"everyone": "warning"})
    def visibility_label(self, row: Collection) -> tuple[str, str]:
        """Open collections stand out."""
        return row.visibility, row.get_visibility_display()

    @column("Documents", ordering="document_count")
    def documents(self, row: Any) -> str:
        """A link to the list, with how many can be searched."""
        url = reverse("admin:searchapp_document_changelist")
        return format_html(
            '<a href="{}?collection__id__exact={}">{} ({} searchable)</a>',
            url,
            row.pk,
            row.document_count,
            row.ready_count,
        )

    @column("Upload")
    def upload_link(self, row: Collection) -> str:
        """The browser's upload page with its progress, for this collection."""
        url = reverse("upload")
        return format_html('<a href="{}?collection={}">Upload files</a>', url, row.slug)

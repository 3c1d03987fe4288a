"""The admin site: who comes in, the dashboard, the sidebar. Knows no model's lists and forms."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import sites
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST
from unfold.sites import UnfoldAdminSite

from searchapp.admin.figures import dashboard_get
from searchapp.admin.retry import documents_retry
from searchapp.models import Document


class AdminSite(UnfoldAdminSite):  # type: ignore[misc]  # unfold has no types
    """Superusers only: whoever comes in sees every collection."""

    index_title = "Dashboard"
    index_template = "admin/dashboard.html"

    def has_permission(self, request: HttpRequest) -> bool:
        """Rights of collections are not applied here, so staff alone is not enough."""
        return bool(request.user.is_active and request.user.is_superuser)

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The sign-in page of the product; for others who are signed in there is no admin."""
        if self.has_permission(request):
            return redirect("admin:index")
        if request.user.is_authenticated:
            raise Http404
        wanted = request.GET.get("next") or reverse("admin:index")
        return redirect_to_login(wanted, reverse("sign-in"))

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """What is there, what waits, what failed."""
        shown = {"dashboard": dashboard_get(), **(extra_context or {})}
        response: TemplateResponse = super().index(request, shown)
        return response

    def extra_urls(self) -> list[URLPattern]:
        """Beside those of the models: the retry button."""
        view = self.admin_view(require_POST(_document_retry))
        return [path("documents/<int:document_id>/retry", view, name="document-retry")]


def _document_retry(request: HttpRequest, document_id: int) -> HttpResponse:
    document = get_object_or_404(Document, pk=document_id)
    if documents_retry([document]):
        messages.success(request, f"'{document}' is tried again.")
    else:
        messages.warning(request, f"'{document}' has not failed: nothing to try again.")
    return redirect("admin:index")


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar; settings.UNFOLD names this function."""
    return [
        {
            "title": "Overview",
            "items": [
                _item("Dashboard", "dashboard", "admin:index"),
                _item("Upload files", "upload", "upload"),
                _item("Search", "search", "search"),
            ],
        },
        {
            "title": "Content",
            "separator": True,
            "items": [
                _item("Collections", "folder", "admin:searchapp_collection_changelist"),
                _item("Documents", "description", "admin:searchapp_document_changelist"),
                _item("Pages", "auto_stories", "admin:searchapp_page_changelist"),
            ],
        },
        {
            "title": "Work",
            "separator": True,
            "items": [
                _item("Jobs", "pending_actions", "admin:searchapp_job_changelist"),
                _item("Indexes", "database", "admin:searchapp_index_changelist"),
                _item("Judged queries", "thumbs_up_down", "admin:searchapp_judgedquery_changelist"),
            ],
        },
        {
            "title": "Access",
            "separator": True,
            "items": [
                _item("Users", "person", "admin:auth_user_changelist"),
                _item("Groups", "group", "admin:auth_group_changelist"),
                _item("API keys", "key", "admin:searchapp_apikey_changelist"),
            ],
        },
    ]


def _item(title: str, icon: str, url_name: str) -> dict[str, str]:
    return {"title": title, "icon": icon, "link": reverse(url_name)}


# As unfold itself does it: urls.py mounts this site as `admin.site`.
site = AdminSite()
admin.site = sites.site = site

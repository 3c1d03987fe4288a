"""All URLs: the JSON API, the Embed API, the admin, and the pages people see."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from searchapp.api.router import api
from searchapp.api.status import healthz, readyz

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("api/v1/", api.urls),
    path("admin/", admin.site.urls),
    path("", include("searchapp.web.urls")),
]

"""The upload page. Its script sends each file by a request of its own and then polls `progress`."""

from dataclasses import asdict

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST

from searchapp import access, library
from searchapp.access import Actor
from searchapp.errors import InvalidInput, SearchappError
from searchapp.models import Collection
from searchapp.uploads import Upload, document_upload, upload_collection_get
from searchapp.web.edge import signed_in
from searchapp.web.progress import progress_list


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def upload(request: HttpRequest) -> HttpResponseBase:
    """GET: the page. POST (`file`, `collection`): keep one file -> JSON Progress and `is_new`."""
    actor = Actor.from_user(request.user)
    if request.method == "POST":
        return _receive(request, actor)
    context = {
        "collections": _choices(actor),
        "chosen": request.GET.get("collection", ""),
        "visibilities": Collection.Visibility.choices,
        "max_bytes": settings.MAX_UPLOAD,
    }
    return render(request, "upload/page.html", context)


def _choices(actor: Actor) -> QuerySet[Collection]:
    """Where to upload: never into the demo set, whose removal would take the file along."""
    return access.writable_collections(actor).filter(is_demo=False)


def _receive(request: HttpRequest, actor: Actor) -> HttpResponseBase:
    file = request.FILES.get("file")
    if not isinstance(file, UploadedFile):
        raise InvalidInput("missing_file", "Choose a file to upload.", field="file")
    collection = upload_collection_get(actor, request.POST.get("collection", ""))
    wanted = Upload(filename=file.name or "", chunks=file.chunks())
    uploaded = document_upload(actor=actor, collection=collection, upload=wanted)
    row = progress_list(actor, [uploaded.document.pk])[0]
    status = 201 if uploaded.is_new else 200
    return JsonResponse(asdict(row) | {"is_new": uploaded.is_new}, status=status)


@signed_in
@require_POST
def collection_new(request: HttpRequest) -> HttpResponseBase:
    """Make a collection; answers with the upload page's collection field, the new one chosen."""
    actor = Actor.from_user(request.user)
    context: dict[str, object] = {"visibilities": Collection.Visibility.choices}
    status = 200
    try:
        made = library.collection_create(
            actor=actor,
            name=request.POST.get("name", ""),
            visibility=request.POST.get("visibility", Collection.Visibility.PRIVATE),
        )
        context["chosen"] = made.slug
    except SearchappError as error:
        context |= {"error": error, "name": request.POST.get("name", ""), "is_open": True}
        status = error.status
    context["collections"] = _choices(actor)
    return render(request, "upload/collection.html", context, status=status)

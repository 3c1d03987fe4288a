"""One page and its pictures. Pictures are re-encoded raster images, served with rights checked."""

from django.http import FileResponse, HttpRequest, HttpResponseNotModified
from django.http.response import HttpResponseBase
from ninja import Router

from searchapp import access, storage
from searchapp.api.actor import reader_of
from searchapp.api.schemas import PageOut
from searchapp.errors import NotFound
from searchapp.models import Page

router = Router()
_MEDIA_TYPES = {"jpg": "image/jpeg", "webp": "image/webp", "png": "image/png"}


@router.get("/pages/{int:page_id}", response=PageOut)
def page_get(request: HttpRequest, page_id: int) -> PageOut:
    """One page with its text, word boxes and notes."""
    return PageOut.from_page(access.visible_page_get(reader_of(request), page_id))


@router.get("/pages/{int:page_id}/image", url_name="page_image")
def page_image(request: HttpRequest, page_id: int) -> HttpResponseBase:
    """The page as a picture."""
    page = access.visible_page_get(reader_of(request), page_id)
    return _picture(request, page, page.image)


@router.get("/pages/{int:page_id}/thumbnail", url_name="page_thumbnail")
def page_thumbnail(request: HttpRequest, page_id: int) -> HttpResponseBase:
    """The page as a small picture."""
    page = access.visible_page_get(reader_of(request), page_id)
    return _picture(request, page, page.thumbnail or page.image)


def _picture(request: HttpRequest, page: Page, name: str) -> HttpResponseBase:
    if not name:
        raise NotFound("no_picture", "This page has no picture.")
    tag = f'"{page.pk}-{page.document.sha256[:16]}-{name.rsplit("/", 1)[-1]}"'
    response: HttpResponseBase
    if request.headers.get("If-None-Match") == tag:
        response = HttpResponseNotModified()
    else:
        media_type = _MEDIA_TYPES.get(name.rsplit(".", 1)[-1], "application/octet-stream")
        response = FileResponse(storage.file_open(name), content_type=media_type)
    response["ETag"] = tag
    # Rights may be withdrawn: the browser asks each time and gets a 304.
    response["Cache-Control"] = "private, no-cache"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response

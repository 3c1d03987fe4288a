"""URLs of the pages people see. The tests walk this table: all but signing in need sign-in."""

from django.urls import path

from searchapp.web import documents, judge, pages, progress, search, signin, upload

urlpatterns = [
    path("sign-in", signin.SignIn.as_view(), name="sign-in"),
    path("sign-in/<str:secret>", signin.signin_link, name="sign-in-link"),
    path("sign-out", signin.sign_out, name="sign-out"),
    path("", search.search, name="search"),
    path("pages/<int:page_id>", pages.page, name="page"),
    path("pages/<int:page_id>/judge", judge.judge, name="judge"),
    path("documents", documents.documents, name="documents"),
    path("documents/progress", progress.documents_progress, name="documents-progress"),
    path("documents/<int:document_id>", documents.document, name="document"),
    path("documents/<int:document_id>/original", documents.original, name="document-original"),
    path("documents/<int:document_id>/delete", documents.delete, name="document-delete"),
    path("documents/<int:document_id>/retry", documents.retry, name="document-retry"),
    path("upload", upload.upload, name="upload"),
    path("collections/new", upload.collection_new, name="collection-new"),
    path("demo/remove", documents.demo_remove, name="demo-remove"),
]

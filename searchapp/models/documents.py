"""Documents, their pages, and the jobs that bring them in. No behaviour beyond naming."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models

from searchapp.models.collections import Collection


class Document(models.Model):
    """One uploaded file."""

    class Status(models.TextChoices):
        QUEUED = "queued"
        RENDERING = "rendering"
        READING = "reading"
        EMBEDDING = "embedding"
        READY = "ready"
        PARTIAL = "partial"
        FAILED = "failed"

    class Kind(models.TextChoices):
        PDF = "pdf", "PDF"
        DECK = "deck", "Slides"
        IMAGE = "image", "Image"

    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="documents")
    title = models.CharField(max_length=300)
    filename = models.CharField(max_length=255)
    media_type = models.CharField(max_length=120)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    sha256 = models.CharField(max_length=64)
    bytes = models.BigIntegerField()
    original = models.CharField(max_length=300, help_text="Name in storage")
    source = models.CharField(max_length=40, default="upload")
    tags = ArrayField(models.CharField(max_length=80), default=list, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.QUEUED)
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.TextField(blank=True)
    page_count = models.IntegerField(null=True, blank=True, help_text="Known once rendering began")
    notices = models.JSONField(default=list, blank=True, help_text="What was replaced or odd")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["collection", "status"]),
            GinIndex(fields=["tags"], name="document_tags"),
            GinIndex(fields=["metadata"], name="document_metadata", opclasses=["jsonb_path_ops"]),
        ]
        constraints = [
            models.UniqueConstraint(fields=["collection", "sha256"], name="document_once"),
        ]

    def __str__(self) -> str:
        return self.title


class Page(models.Model):
    """One slide, PDF page or image; the unit that workers claim and that a search finds."""

    class Step(models.TextChoices):
        READ = "read"
        EMBED = "embed"
        DONE = "done"

    class State(models.TextChoices):
        WAITING = "waiting"
        CLAIMED = "claimed"
        DONE = "done"
        FAILED = "failed"

    class TextSource(models.TextChoices):
        LAYER = "layer"
        OCR = "ocr"
        NONE = "none"

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="pages")
    number = models.PositiveIntegerField(help_text="As in the source, from 1")
    hidden = models.BooleanField(default=False)
    step = models.CharField(max_length=8, choices=Step.choices, default=Step.READ)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    not_before = models.DateTimeField(null=True, blank=True, help_text="Back-off after a failure")
    worker = models.CharField(max_length=100, blank=True)
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.TextField(blank=True)
    notices = models.JSONField(default=list, blank=True)
    image = models.CharField(max_length=300, blank=True, help_text="Name in storage")
    thumbnail = models.CharField(max_length=300, blank=True, help_text="Name in storage")
    width = models.PositiveIntegerField(default=0)
    height = models.PositiveIntegerField(default=0)
    text = models.TextField(blank=True)
    words = models.JSONField(default=list, blank=True, help_text="[[text, x0, y0, x1, y1], ...]")
    text_source = models.CharField(
        max_length=8, choices=TextSource.choices, default=TextSource.NONE
    )
    notes = models.TextField(blank=True)
    language = models.CharField(max_length=8, blank=True, help_text="ISO 639-1; blank: unknown")
    search = SearchVectorField(null=True, editable=False)

    class Meta:
        ordering = ["document_id", "number"]
        constraints = [
            models.UniqueConstraint(fields=["document", "number"], name="page_once"),
        ]
        indexes = [
            GinIndex(fields=["search"], name="page_search"),
            # All that filters ask of pages, so that counting reads no rows. Language first: the
            # few there are can be skipped through where it is not asked.
            models.Index(
                fields=["language", "document", "number", "id"],
                name="page_found",
                condition=models.Q(step="done"),
            ),
            # The claim: fair between documents, because it goes by page number first.
            models.Index(
                fields=["step", "number", "document"],
                name="page_waiting",
                condition=models.Q(state="waiting"),
            ),
            models.Index(
                fields=["lease_until"], name="page_leases", condition=models.Q(state="claimed")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.document_id}/{self.number}"


class Job(models.Model):
    """One document's way in. Progress is counted from its pages, never stored here."""

    class Kind(models.TextChoices):
        INGEST = "ingest"

    class State(models.TextChoices):
        QUEUED = "queued", "Waiting to be rendered"
        RENDERING = "rendering", "Being rendered"
        PAGES = "pages", "Rendered; its pages are read and embedded"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.INGEST)
    document = models.OneToOneField(Document, on_delete=models.CASCADE, related_name="job")
    state = models.CharField(max_length=16, choices=State.choices, default=State.QUEUED)
    priority = models.SmallIntegerField(default=0, help_text="Bigger goes first")
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    not_before = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=100, blank=True)
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-priority", "id"]
        indexes = [
            models.Index(
                fields=["-priority", "id"],
                name="job_waiting",
                condition=models.Q(state__in=["queued", "rendering"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.document_id}"

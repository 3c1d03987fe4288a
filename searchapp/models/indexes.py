"""Index rows and the vectors below them. The Embedding table is made in SQL (migration 0002)."""

from dataclasses import astuple, replace

from django.conf import settings
from django.db import models
from pgvector.django import HalfVectorField

from searchapp import engine
from searchapp.errors import Unavailable
from searchapp.models.collections import Collection
from searchapp.models.documents import Page


class Index(models.Model):
    """All embeddings of one model at one revision and dimension: one partition of Embedding."""

    class State(models.TextChoices):
        # Its partition or its rows of work are not whole: before a build, and while it is dropped.
        STARTING = "starting"
        BUILDING = "building"
        ACTIVE = "active"
        RETIRED = "retired"

    model = models.CharField(max_length=200)
    revision = models.CharField(max_length=100)
    dimension = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=16, choices=State.choices, default=State.BUILDING)
    created_at = models.DateTimeField(auto_now_add=True)
    source = models.CharField(
        max_length=500,
        blank=True,
        help_text="What the model is loaded by: name, folder, repository",
    )
    source_revision = models.CharField(max_length=100, blank=True, help_text="As it was asked for")
    url = models.CharField(max_length=500, blank=True, help_text="The server that holds the model")
    description = models.JSONField(
        default=dict, blank=True, help_text="What the engine said of the model"
    )
    pages_per_s = models.FloatField(null=True, blank=True, help_text="Of the build, lately")
    sampled_at = models.DateTimeField(null=True, blank=True)
    sampled_missing = models.PositiveIntegerField(default=0)
    activated_at = models.DateTimeField(null=True, blank=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "indexes"
        constraints = [
            models.UniqueConstraint(
                fields=["state"], condition=models.Q(state="active"), name="index_one_active"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model}@{self.revision[:12]} {self.dimension}"

    def source_get(self) -> engine.ModelSource:
        """What its model is loaded by."""
        return engine.ModelSource(self.source or self.model, self.source_revision, self.url)

    @property
    def space(self) -> engine.VectorSpace:
        """How vectors of this index are made: by which weights, where they are.

        Nobody is asked but for rows older than `description`: then raises as `engine.spec`.
        """
        source = self.source_get()
        known = engine.known_spec(source)
        if known is None:
            described = self.description
            known = engine.spec_described(described) if described else engine.spec(source)
        # Of weights that came with another version of the product only the name is known here.
        return engine.VectorSpace(source, replace(known, revision=self.revision), self.dimension)


class Embedding(models.Model):
    """One unit of a page: sign bits for the prefilter, half floats for the rerank.

    Made in SQL: LIST-partitioned by index, key (page, lane, position, index). `bits` (`varbit`) is
    known to SQL only; each partition has its HNSW index on `bits::bit(D)`.
    """

    class Lane(models.TextChoices):
        IMAGE = "image"
        TEXT = "text"
        # Only pages that another lane found are scored by these: they have no HNSW index.
        PASSAGE = "passage"

    SEARCHED = (Lane.IMAGE, Lane.TEXT)

    pk = models.CompositePrimaryKey("page_id", "lane", "position", "index_id")
    page = models.ForeignKey(Page, on_delete=models.DO_NOTHING, related_name="embeddings")
    lane = models.CharField(max_length=8, choices=Lane.choices)
    position = models.SmallIntegerField()
    index = models.ForeignKey(Index, on_delete=models.DO_NOTHING, related_name="embeddings")
    collection = models.ForeignKey(Collection, on_delete=models.DO_NOTHING, related_name="+")
    vec = HalfVectorField()


class PendingPage(models.Model):
    """A page whose vectors an index still lacks: one row of work of a build, gone when it is done.

    Made in SQL (migration 0007), so that a deleted page or index takes its rows along.
    """

    index = models.ForeignKey(Index, on_delete=models.DO_NOTHING, related_name="pending")
    page = models.ForeignKey(Page, on_delete=models.DO_NOTHING, related_name="+")
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    not_before = models.DateTimeField(null=True)
    worker = models.CharField(max_length=100, default="")
    failed = models.BooleanField(default=False)
    error_code = models.CharField(max_length=60, default="")
    error_message = models.TextField(default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["index", "page"], name="pendingpage_once"),
        ]
        indexes = [
            # What is claimed next of an index, however long its backlog.
            models.Index(
                fields=["index", "id"],
                condition=models.Q(failed=False),
                name="pendingpage_waiting",
            ),
        ]

    def __str__(self) -> str:
        return f"page {self.page_id} for index {self.index_id}"


_ACTIVE = "SELECT * FROM searchapp_index WHERE state = 'active'"


def index_active() -> Index:
    """The index that searches and uploads use now: read anew each time, it may change any moment.

    Raises Unavailable `no_index`.
    """
    # Before every search: written out it costs a third of what the ORM takes to write it.
    for index in Index.objects.raw(_ACTIVE):
        return index
    raise Unavailable("no_index", "There is no active index; run `manage.py index ensure`.")


def index_settings_differ(index: Index) -> bool:
    """Whether the settings name another model or dimension than that of the index.

    Told by what they say, nobody is asked. It changes nothing until an index of it is built.
    """
    source, wanted = engine.configured(), settings.EMBEDDING_DIMENSION
    known = engine.known_spec(source)
    if known is not None:
        is_same = not index.url and (index.model, index.revision) == (known.name, known.revision)
    else:
        kept = (index.source or index.model, index.source_revision, index.url)
        is_same = kept == astuple(source)
    default = index.space.spec.dimension if is_same else 0
    return not is_same or index.dimension != (wanted or default)

"""Index rows and the vectors below them. The Embedding table is made in SQL (migration 0002)."""

from django.db import models
from pgvector.django import HalfVectorField

from searchapp import engine
from searchapp.errors import Unavailable
from searchapp.models.collections import Collection
from searchapp.models.documents import Page


class Index(models.Model):
    """All embeddings of one model at one revision and dimension: one partition of Embedding."""

    class State(models.TextChoices):
        BUILDING = "building"
        ACTIVE = "active"
        RETIRED = "retired"

    model = models.CharField(max_length=200)
    revision = models.CharField(max_length=100)
    dimension = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=16, choices=State.choices, default=State.BUILDING)
    created_at = models.DateTimeField(auto_now_add=True)
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


class Embedding(models.Model):
    """One unit of a page: sign bits for the prefilter, half floats for the rerank.

    Made in SQL: LIST-partitioned by index, key (page, lane, position, index). `bits` (`varbit`) is
    known to SQL only; each partition has its HNSW index on `bits::bit(D)`.
    """

    class Lane(models.TextChoices):
        IMAGE = "image"
        TEXT = "text"

    pk = models.CompositePrimaryKey("page_id", "lane", "position", "index_id")
    page = models.ForeignKey(Page, on_delete=models.DO_NOTHING, related_name="embeddings")
    lane = models.CharField(max_length=8, choices=Lane.choices)
    position = models.SmallIntegerField()
    index = models.ForeignKey(Index, on_delete=models.DO_NOTHING, related_name="embeddings")
    collection = models.ForeignKey(Collection, on_delete=models.DO_NOTHING, related_name="+")
    vec = HalfVectorField()


def index_active() -> Index:
    """The index that searches and uploads use: of the configured model.

    Raises Unavailable: `no_index`; `model_changed` when its vectors are another model's; or as
    `engine.spec`.
    """
    index = Index.objects.filter(state=Index.State.ACTIVE).first()
    if index is None:
        raise Unavailable("no_index", "There is no active index; run `manage.py index_ensure`.")
    spec, dimension = engine.spec(), engine.dimension()
    if (index.model, index.revision, index.dimension) != (spec.name, spec.revision, dimension):
        raise Unavailable(
            "model_changed",
            f"The stored vectors are of {index}, "
            f"the settings name {spec.name}@{spec.revision[:12]} {dimension}. "
            "Set EMBEDDING_MODEL, EMBEDDING_REVISION and EMBEDDING_DIMENSION back, "
            "or run `manage.py index_rebuild`.",
        )
    return index

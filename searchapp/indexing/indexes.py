"""Indexes: made with their partition, replaced when the model changes. Embeds nothing."""

from django.db import connection, transaction

from searchapp import engine, jobs
from searchapp.errors import InvalidInput
from searchapp.models import Index, Page
from searchapp.models.indexes import index_active


def index_ensure() -> Index:
    """The active index of the configured model, made on the first start.

    Raises Unavailable `model_changed` when the stored vectors are another model's, or while the
    engine, which has to be asked for some models, is away; InvalidInput when the model has no
    vectors of the configured dimension.
    """
    spec, dimension = _configured()
    if not Index.objects.filter(state=Index.State.ACTIVE).exists():
        index_create(spec.name, spec.revision, dimension, state=Index.State.ACTIVE)
    return index_active()


def _configured() -> tuple[engine.ModelSpec, int]:
    """The configured model and dimension. Raises InvalidInput, Unavailable."""
    spec, dimension = engine.spec(), engine.dimension()
    if dimension not in spec.dimensions:
        allowed = ", ".join(map(str, spec.dimensions))
        raise InvalidInput(
            "dimension_not_offered",
            f"EMBEDDING_DIMENSION={dimension}: {spec.name} has {allowed}. Set one of them or none.",
        )
    return spec, dimension


@transaction.atomic
def index_create(model: str, revision: str, dimension: int, *, state: str) -> Index:
    """A new index with its partition: HNSW on the sign bits, btree for filtered exact scans."""
    index = Index.objects.create(model=model, revision=revision, dimension=dimension, state=state)
    table = f"searchapp_embedding_{index.pk}"
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TABLE {table} PARTITION OF searchapp_embedding FOR VALUES IN ({index.pk})"
        )
        cursor.execute(
            f"CREATE INDEX {table}_bits ON {table} "
            f"USING hnsw ((bits::bit({dimension})) bit_hamming_ops)"
        )
        cursor.execute(f"CREATE INDEX {table}_collection ON {table} (collection_id, lane)")
    return index


def index_rebuild() -> int:
    """Replace the active index by an empty one of the configured model; all pages are embedded
    again. Search is incomplete until they are. Returns how many pages wait.

    Raises InvalidInput and Unavailable as `index_ensure`, before anything is dropped.
    """
    spec, dimension = _configured()
    with transaction.atomic():
        for index in Index.objects.filter(state=Index.State.ACTIVE):
            with connection.cursor() as cursor:
                cursor.execute(f"DROP TABLE searchapp_embedding_{index.pk}")
            index.delete()
        index_create(spec.name, spec.revision, dimension, state=Index.State.ACTIVE)
        Page.objects.filter(step=Page.Step.DONE).update(
            step=Page.Step.EMBED, state=Page.State.WAITING
        )
        for document_id in Page.objects.values_list("document_id", flat=True).distinct():
            jobs.document_reopen(document_id)
        jobs.enqueue("embed")
    return Page.objects.filter(step=Page.Step.EMBED, state=Page.State.WAITING).count()

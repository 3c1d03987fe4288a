"""One HNSW index per lane instead of one for all: docs/decisions/0004-two-stages.md."""

from django.db import migrations

# A statement of its own: within another, that one is timed already.
NO_LIMIT = "SET LOCAL statement_timeout = 0"

FORWARD = """
DO $$
DECLARE one record; lane text;
BEGIN
    FOR one IN SELECT id, dimension FROM searchapp_index LOOP
        EXECUTE format('DROP INDEX IF EXISTS searchapp_embedding_%s_bits', one.id);
        FOREACH lane IN ARRAY ARRAY['image', 'text'] LOOP
            EXECUTE format(
                'CREATE INDEX searchapp_embedding_%1$s_bits_%2$s ON searchapp_embedding_%1$s '
                'USING hnsw ((bits::bit(%3$s)) bit_hamming_ops) '
                'WITH (m = 16, ef_construction = 64) WHERE lane = %2$L',
                one.id, lane, one.dimension
            );
        END LOOP;
    END LOOP;
END $$;
"""

BACK = """
DO $$
DECLARE one record; lane text;
BEGIN
    FOR one IN SELECT id, dimension FROM searchapp_index LOOP
        FOREACH lane IN ARRAY ARRAY['image', 'text'] LOOP
            EXECUTE format('DROP INDEX IF EXISTS searchapp_embedding_%s_bits_%s', one.id, lane);
        END LOOP;
        EXECUTE format(
            'CREATE INDEX searchapp_embedding_%1$s_bits ON searchapp_embedding_%1$s '
            'USING hnsw ((bits::bit(%2$s)) bit_hamming_ops)', one.id, one.dimension
        );
    END LOOP;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("searchapp", "0003_retrieval")]

    operations = [migrations.RunSQL([NO_LIMIT, FORWARD], [NO_LIMIT, BACK])]

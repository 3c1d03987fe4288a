"""Documents and source say the same: settings, commands, error codes."""

import re

from searchapp.environment import SETTINGS
from tests.docs import tables
from tests.docs.codes import source_codes

RENEW = "run `python -m tests.docs.tables`"


def first_column(text: str) -> list[str]:
    """The codes in the first column of a table."""
    return re.findall(r"^\| `([^`]+)` \|", text, re.M)


def test_settings_are_documented() -> None:
    assert tables.table_of(tables.DOCS / "settings.md") == tables.settings_table(), RENEW


def test_env_example_names_every_setting() -> None:
    assert tables.ENV_EXAMPLE.read_text() == tables.env_example(), RENEW
    named = re.findall(r"^#([A-Z0-9_]+)=", tables.env_example(), re.M)
    assert named == ["POSTGRES_PASSWORD", *(setting.name for setting in SETTINGS)]


def test_commands_are_documented() -> None:
    assert tables.table_of(tables.DOCS / "commands.md") == tables.commands_table(), RENEW


def test_error_codes_are_documented() -> None:
    documented = first_column((tables.DOCS / "errors.md").read_text())
    raised = source_codes()
    missing = {code: place for code, place in raised.items() if code not in documented}
    assert missing == {}, "describe these in docs/errors.md"
    assert [code for code in documented if code not in raised] == [], "raised nowhere"
    assert len(documented) == len(set(documented)), "described twice"

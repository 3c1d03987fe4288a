"""Documents and source say the same: settings, commands, error codes."""

import re

from searchapp.api.router import api
from searchapp.environment import PROJECT_DIR, SETTINGS
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


def test_api_examples_name_real_addresses() -> None:
    text = (tables.DOCS / "api.md").read_text()
    asked = set(re.findall(r'api "\$URL(/api/v1/[^"?]*)', text))
    real = {re.sub(r"\{[^}]*\}", "1", path) for path in api.get_openapi_schema()["paths"]}
    assert asked == real


def test_architecture_names_what_is_there() -> None:
    text = (tables.DOCS / "architecture.md").read_text()
    folders = text.partition("## Folders")[2].partition("## Rows")[0]
    cells = re.findall(r"^\| (`.*?`) \|", folders, re.M)
    found = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    named = {name.removeprefix("searchapp/").rstrip("/") for name in found}
    app = PROJECT_DIR / "searchapp"
    present = {path.stem for path in app.glob("*.py")} | {"static"}
    present |= {path.parent.name for path in app.glob("*/__init__.py")}
    present -= {"__init__", "apps", "celery", "checks", "migrations", "urls", "wsgi"}
    outside = {"embedding_engine", "templates", "tests", "benchmarks", "docs"}
    assert named == present | outside
    for name in outside:
        assert (PROJECT_DIR / name).is_dir(), name

"""The generated parts of the documents: `python -m tests.docs.tables` writes them anew.

The tests compare; what is not generated is written by hand and left alone.
"""

import os
from pathlib import Path

from searchapp.environment import PROJECT_DIR, SETTINGS, Setting

DOCS = PROJECT_DIR / "docs"
ENV_EXAMPLE = PROJECT_DIR / ".env.example"
COMMANDS = PROJECT_DIR / "searchapp" / "management" / "commands"
_ENV_HEAD = """\
# Every setting with its default. Copy to .env for Docker Compose, or export what you change;
# `make up NAME=value` works too. Docker Compose needs SECRET_KEY and POSTGRES_PASSWORD.

# Password of the database that Docker Compose starts; letters and digits only
#POSTGRES_PASSWORD=
"""


def default_text(setting: Setting) -> str:
    """The default as it is on every machine."""
    return "number of CPUs" if setting.name == "RENDER_PROCESSES" else setting.default


def settings_table() -> str:
    """All settings, in the order of the list."""
    rows = [
        f"| `{setting.name}` | {f'`{text}`' if (text := default_text(setting)) else 'empty'} "
        f"| {setting.meaning}{' (secret)' if setting.is_secret else ''} |"
        for setting in SETTINGS
    ]
    return "\n".join(["| Setting | Default | Meaning |", "|---|---|---|", *rows])


def env_example() -> str:
    """A file for the environment in which nothing is set."""
    blocks = [
        f"# {setting.meaning}\n#{setting.name}="
        f"{'' if setting.name == 'RENDER_PROCESSES' else setting.default}\n"
        for setting in SETTINGS
    ]
    return "\n".join([_ENV_HEAD, *blocks])


def command_names() -> list[str]:
    """Our own commands, from their files."""
    return sorted(path.stem for path in COMMANDS.glob("*.py") if path.stem != "__init__")


def commands_table() -> str:
    """All commands with the help they print."""
    from django.core.management import load_command_class

    rows = [
        f"| `{name}` | {load_command_class('searchapp', name).help} |" for name in command_names()
    ]
    return "\n".join(["| Command | What it does |", "|---|---|", *rows])


def table_of(path: Path) -> str:
    """The one table of a document."""
    return "\n".join(line for line in path.read_text().splitlines() if line.startswith("|"))


def _table_write(path: Path, table: str) -> None:
    lines = path.read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rest = [line for line in lines[start:] if not line.startswith("|")]
    path.write_text("\n".join([*lines[:start], table, *rest]) + "\n")


def main() -> None:
    """Write all generated parts."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "searchapp.settings")
    django.setup()
    _table_write(DOCS / "settings.md", settings_table())
    _table_write(DOCS / "commands.md", commands_table())
    ENV_EXAMPLE.write_text(env_example())


if __name__ == "__main__":
    main()

"""Every setting, from the environment only: name, meaning, default, parser. No Django here.

`settings.py`, the services, `doctor` and the table in docs/settings.md all read SETTINGS; a setting
that is not in this list does not exist.
"""

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedding_engine.errors import ModelNotFound
from embedding_engine.registry import model_spec

PROJECT_DIR = Path(__file__).resolve().parent.parent
PATH_STARTS = (".", "/", "~")
"""How a model that can only be a folder begins."""
EMBED_WAITING = 96
"""Embed calls that may wait at a time; the web server has as many threads beyond WEB_THREADS."""


class SettingError(ValueError):
    """A setting that cannot be read; the message names it and says what is accepted."""


def to_bool(text: str) -> bool:
    """1/true/yes/on or 0/false/no/off, any case. Raises ValueError otherwise."""
    known = {"1": True, "true": True, "yes": True, "on": True}
    known |= {"0": False, "false": False, "no": False, "off": False, "": False}
    if text.strip().lower() not in known:
        raise ValueError("use 1 or 0")
    return known[text.strip().lower()]


def to_list(text: str) -> list[str]:
    """Comma-separated words, blanks dropped."""
    return [word.strip() for word in text.split(",") if word.strip()]


def to_size(text: str) -> int:
    """Bytes; K, M and G (powers of 1024) may follow the number. Raises ValueError."""
    if not re.fullmatch(r"\s*\d+\s*[KMGkmg]?[iI]?[bB]?\s*", text):
        raise ValueError("use a number of bytes, or one with K, M or G, such as 500M")
    units = {"K": 1024, "M": 1024**2, "G": 1024**3}
    text = text.strip().upper().removesuffix("B").removesuffix("I")
    factor = units.get(text[-1:], 1)
    return int(text[:-1] if factor > 1 else text) * factor


def to_positive(text: str) -> int:
    """A whole number of at least 1. Raises ValueError otherwise."""
    if not re.fullmatch(r"\s*\d+\s*", text) or int(text) < 1:
        raise ValueError("use a whole number of at least 1")
    return int(text)


def to_optional(text: str) -> int:
    """A whole number of at least 1; 0 for an empty text. Raises ValueError otherwise."""
    return to_positive(text) if text.strip() else 0


def to_url(text: str) -> str:
    """http://..., https://... or unix:///..., without a slash at the end. Raises ValueError."""
    if text and not re.fullmatch(r"(https?://[^/\s]|unix:///)\S*", text):
        raise ValueError("use http://HOST:PORT, https://HOST or unix:///PATH")
    return text.rstrip("/")


def to_dtype(text: str) -> str:
    """auto, float32 or bfloat16. Raises ValueError otherwise."""
    if text not in {"auto", "float32", "bfloat16"}:
        raise ValueError("use auto, float32 or bfloat16")
    return text


def to_port(text: str) -> int:
    """A TCP port. Raises ValueError otherwise."""
    if not to_positive(text) <= 65_535:
        raise ValueError("must be 1 to 65535")
    return int(text)


def to_host(text: str) -> str:
    """An IP address or a host name. Raises ValueError otherwise."""
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        if re.fullmatch(r"(?!-)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*", text):
            return text
    raise ValueError("use an IP address or a host name, without http:// and port")


def to_key(text: str) -> str:
    """A key as it can stand in a header: printable ASCII. Raises ValueError otherwise."""
    if not (text.isascii() and text.isprintable()):
        raise ValueError("use letters, digits and other printable ASCII signs")
    return text.strip()


def to_log_level(text: str) -> str:
    """DEBUG, INFO, WARNING or ERROR, any case. Raises ValueError otherwise."""
    if text.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise ValueError("use DEBUG, INFO, WARNING or ERROR")
    return text.upper()


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: `default` is text as it would stand in the environment."""

    name: str
    default: str
    meaning: str
    parse: Callable[[str], Any] = str
    is_secret: bool = False


def _cpu_count() -> str:
    return str(max(1, len(os.sched_getaffinity(0))))


SETTINGS: tuple[Setting, ...] = (
    Setting("DATA_DIR", "var", "Folder of everything that is kept; relative to the project", str),
    Setting("HOST", "127.0.0.1", "Address the web server binds to", to_host),
    Setting("PORT", "8000", "Port of the web server", to_port),
    Setting("PUBLIC_URL", "", "Address people use, e.g. https://search.example.org"),
    Setting("SECRET_KEY", "", "Signs sessions; generated in DATA_DIR when empty", is_secret=True),
    Setting("DEBUG", "0", "Django debug pages; never in production", to_bool),
    Setting("ALLOWED_HOSTS", "", "More host names the web server answers to, commas", to_list),
    Setting("DATABASE_URL", "", "postgresql://... ; empty: embedded Postgres", is_secret=True),
    Setting("DATABASE_POOL", "8", "Connections a process keeps at most", to_positive),
    Setting("REDIS_URL", "", "redis://... ; empty: embedded Redis", is_secret=True),
    Setting("STORAGE", "local", "Where files go: local (DATA_DIR/media) or s3"),
    Setting("S3_BUCKET", "", "Bucket for STORAGE=s3"),
    Setting("S3_ENDPOINT_URL", "", "Endpoint of an S3-compatible server"),
    Setting(
        "ENGINE_URL", "", "Where our engine process answers; empty: socket in DATA_DIR", to_url
    ),
    Setting("ENGINE_API_KEY", "", "Key that the engine asks for on TCP", to_key, is_secret=True),
    Setting(
        "EMBEDDING_MODEL",
        "builtin",
        "Model that embeds: registered name, folder, or owner/name on the hub",
    ),
    Setting("EMBEDDING_REVISION", "", "Commit or tag of the model on the hub"),
    Setting(
        "EMBEDDING_DIMENSION", "", "Components of a vector; empty: the model's own", to_optional
    ),
    Setting("EMBEDDING_DEVICE", "auto", "auto, cpu, cuda, cuda:1 ..."),
    Setting("EMBEDDING_DTYPE", "auto", "auto, float32 or bfloat16", to_dtype),
    Setting(
        "EMBEDDING_PIXELS",
        "1300000",
        "Most pixels of a picture, for models that take any",
        to_positive,
    ),
    Setting(
        "EMBEDDING_BATCH_TOKENS", "", "Tokens of one batch; empty: the engine's choice", to_optional
    ),
    Setting("EMBEDDING_URL", "", "Another Embed v2 server that our engine passes on to", to_url),
    Setting("EMBEDDING_API_KEY", "", "Bearer key for EMBEDDING_URL", to_key, is_secret=True),
    Setting("EMBEDDING_INPROCESS", "0", "Keep the model inside each process (tests)", to_bool),
    Setting("EMBED_API_OPEN", "0", "Answer the Embed API without a key", to_bool),
    Setting("RENDER_PROCESSES", _cpu_count(), "Renders and OCR readings at a time", to_positive),
    Setting("WEB_THREADS", "8", "Requests the web server answers at a time", to_positive),
    Setting("MAX_UPLOAD", "500M", "Largest file accepted", to_size),
    Setting("MAX_PAGES", "5000", "Most pages of one document", to_positive),
    Setting("PAGE_PIXELS", "1300000", "Size of page pictures in pixels", to_positive),
    Setting("RENDER_SECONDS", "900", "Longest render of one file", to_positive),
    Setting("RENDER_MEMORY", "1500M", "Memory of one render", to_size),
    Setting("OCR", "1", "Read pages that have no text layer", to_bool),
    Setting("OCR_THREADS", "1", "Threads of one reading in a worker", to_positive),
    Setting("LEASE_SECONDS", "60", "How long a silent worker keeps its claim", to_positive),
    Setting("SWEEP_SECONDS", "10", "How often lost work is taken back", to_positive),
    Setting("LOAD_DEMO", "1", "Load the demo set on the first start", to_bool),
    Setting("LOG_LEVEL", "INFO", "DEBUG, INFO, WARNING or ERROR", to_log_level),
    Setting("S3_REGION", "", "Region of the bucket"),
)


def environment_read(environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """All settings by name, parsed. Raises SettingError naming the first bad one."""
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        text = environ.get(setting.name, "") or setting.default
        try:
            values[setting.name] = setting.parse(text)
        except ValueError as error:
            shown = "***" if setting.is_secret else repr(text)
            raise SettingError(f"{setting.name}={shown} cannot be used: {error}") from error
    if not values["EMBEDDING_URL"]:
        values["EMBEDDING_MODEL"] = model_place(values["EMBEDDING_MODEL"])
    return values


def model_place(model: str) -> str:
    """A folder by its absolute path, sought here and in the project: every process that gets it
    must come to the same one, wherever it runs. Any other model as it is."""
    try:
        model_spec(model)
    except ModelNotFound:
        pass
    else:
        return model  # a registered name wins over a folder, as in the engine
    # Symbolic links stay: where the engine runs elsewhere, only the name is known here.
    for base in (Path.cwd(), PROJECT_DIR):
        path = os.path.abspath(base / os.path.expanduser(model))  # noqa: PTH100, PTH111
        if Path(path).is_dir():
            return path
    return model


def data_dir_get(environ: Mapping[str, str] | None = None) -> Path:
    """The folder of everything that is kept, absolute."""
    return (PROJECT_DIR / Path(environment_read(environ)["DATA_DIR"]).expanduser()).resolve()

"""Dockerfile and docker-compose.yml agree with the settings and with what `make up` starts.

No container engine is used: what can be checked without one is checked here.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import load_command_class

from scripts.requirements import requirements
from searchapp.environment import EMBED_WAITING, PROJECT_DIR, SETTINGS, environment_read
from searchapp.services.gpu_worker import GpuWorker
from searchapp.services.specs import web_spec, worker_specs

COMPOSE = PROJECT_DIR / "docker-compose.yml"
DOCKERFILE = (PROJECT_DIR / "Dockerfile").read_text()
NAMES = {setting.name for setting in SETTINGS}
SECRETS = {setting.name for setting in SETTINGS if setting.is_secret}
# What Compose itself needs beside the settings.
BUILD = {"POSTGRES_PASSWORD", "TORCH_INDEX", "TORCH_INDEX_GPU"}
# Fixed by the image or by this file, or only for `make up` and tests.
NOT_PASSED_ON = {
    "DATA_DIR",
    "DATABASE_URL",
    "REDIS_URL",
    "DEBUG",
    "LOAD_DEMO",
    "EMBEDDING_INPROCESS",
}
ONE_SHOT = {"migrate", "index"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services with their merges resolved."""
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def words(service: dict[str, Any]) -> list[str]:
    """A command as words, whether it goes through a shell or not; defaults filled in."""
    command = service["command"]
    flat = command[-1].split() if command[0] == "sh" else command
    text = [re.sub(r"\$+\{[A-Z_]+:-(.*?)\}+", r"\1", word).strip('"') for word in flat]
    return [word for word in text if word != "exec"]


def test_compose_file_fits_its_schema() -> None:
    argv = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    result = subprocess.run([*argv, str(COMPOSE)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_service_is_watched_and_restarted(services: dict[str, Any]) -> None:
    assert {"postgres", "redis", "web", "worker", "renderer", "worker-gpu", "beat"} <= set(services)
    for name in set(services) - ONE_SHOT:
        assert services[name]["healthcheck"]["test"], name
        assert services[name]["restart"] == "unless-stopped", name
    for name in ONE_SHOT:
        assert services[name]["restart"] == "no", name


def test_settings_are_known_and_passed_on(services: dict[str, Any]) -> None:
    mentioned = set(re.findall(r"\$\{([A-Z0-9_]+)", COMPOSE.read_text()))
    assert mentioned - NAMES - BUILD == set()
    assert NAMES - mentioned == NOT_PASSED_ON
    for name, service in services.items():
        given = set(service.get("environment", {}))
        allowed = {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD"}
        assert given - NAMES - allowed == set(), name


def test_no_secret_has_a_value(services: dict[str, Any]) -> None:
    secrets = {*SECRETS - {"DATABASE_URL", "REDIS_URL"}, "POSTGRES_PASSWORD"}
    for name, service in services.items():
        for key, text in service.get("environment", {}).items():
            if key in secrets:
                assert re.fullmatch(r"\$\{" + key + r"(:\?.+|:-)\}", text), (name, key)
            if key == "DATABASE_URL":
                password = text.split("@")[0].split(":", 2)[2]
                assert password.startswith("${POSTGRES_PASSWORD:?"), name
    for key in SECRETS | {"PASSWORD"}:
        assert not re.search(rf"^\s*(ENV|ARG)\s.*{key}", DOCKERFILE, re.M)
    assert "${SECRET_KEY:?" in COMPOSE.read_text()


def test_the_renderer_has_no_way_out(services: dict[str, Any]) -> None:
    networks = yaml.safe_load(COMPOSE.read_text())["networks"]
    assert networks["inside"] == {"internal": True}
    assert services["renderer"]["networks"] == ["inside"]
    for name in ("postgres", "redis"):
        assert services[name]["networks"] == ["inside"], name
        assert "ports" not in services[name]


def test_only_web_is_reached_and_only_from_this_machine(services: dict[str, Any]) -> None:
    assert [name for name in services if "ports" in services[name]] == ["web"]
    assert services["web"]["ports"] == ["${HOST:-127.0.0.1}:${PORT:-8000}:8000"]


def test_the_gpu_is_reserved_in_its_profile(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert (service.get("profiles") == ["gpu"]) is name.endswith("-gpu"), name
    [device] = services["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]


def test_a_gpu_worker_is_one_command(services: dict[str, Any], tmp_path: Path) -> None:
    """As it is started by the service, it runs the engine beside its workers."""
    _, manage, command, *options = services["worker-gpu"]["command"]
    assert (manage, command) == ("manage.py", "gpu_worker")
    parser = load_command_class("searchapp", command).create_parser(manage, command)
    given = parser.parse_args(options)
    unit = GpuWorker(environment_read({}), tmp_path, given.host, given.port, given.workers)
    engine, *workers = unit.specs()
    assert engine.argv[-4:] == tuple(services["engine"]["command"][-4:])
    assert len(workers) == 2
    for number, worker in enumerate(workers, start=1):
        assert f"embed-{number}@%h" in worker.argv
        assert worker.env["ENGINE_URL"] == f"http://127.0.0.1:{given.port}"
    own = GpuWorker(environment_read({"ENGINE_URL": "http://far:1"}), tmp_path, "", None, 1)
    urls = {spec.env["ENGINE_URL"] for spec in own.specs()}
    assert urls == {f"unix://{tmp_path}/run/engine.sock"}


def test_queries_find_an_engine(services: dict[str, Any]) -> None:
    default = services["web"]["environment"]["ENGINE_URL"]
    assert default == "${ENGINE_URL:-http://engine:9000}"
    for name in ("engine", "worker-gpu"):
        assert "inside" in services[name]["networks"]
        assert ":9000/ping" in services[name]["healthcheck"]["test"][-1]


def test_no_engine_waits_for_the_index_that_waits_for_an_engine(services: dict[str, Any]) -> None:
    def needed(name: str) -> set[str]:
        direct = set(services[name].get("depends_on", {}))
        return direct.union(*map(needed, direct))

    assert services["index"]["command"][2:] == ["index", "ensure", "--wait", "3600"]
    assert needed("index") == {"migrate", "postgres", "redis"}
    assert "index ensure" not in " ".join(services["migrate"]["command"])
    for name in ("engine", "worker-gpu"):
        assert "index" not in needed(name), name
    for name in ("web", "worker", "renderer", "beat"):
        done = {"condition": "service_completed_successfully"}
        assert services[name]["depends_on"]["index"] == done, name


def test_processes_start_as_under_make_up(services: dict[str, Any], tmp_path: Path) -> None:
    env = environment_read({"HOST": "0.0.0.0", "RENDER_PROCESSES": "1"})
    web = list(web_spec(env, tmp_path).argv)
    threads = web.index("--blocking-threads") + 1
    assert web[threads] == str(8 + EMBED_WAITING)
    web[threads] = f"$$((8+{EMBED_WAITING}))"
    assert words(services["web"]) == ["python", *web[1:]]
    specs = {spec.name: spec for spec in worker_specs(env, tmp_path)}
    ours = {"render": "renderer", "embed": "worker", "beat": "beat"}
    for name, service in ours.items():
        celery = set(specs[name].argv[2:]) - {"1", "--loglevel=INFO"}
        given = set(words(services[service])) - {"$$(nproc)", "--loglevel", "INFO"}
        assert given == celery, name
    for name, text in specs["render"].env.items():
        assert f"{name}={text}" in DOCKERFILE


def test_images_are_built_from_what_is_there(services: dict[str, Any]) -> None:
    targets = set(re.findall(r"^FROM .* AS ([\w-]+)", DOCKERFILE, re.M))
    used = {service["build"]["target"] for service in services.values() if "build" in service}
    assert used == {"web", "worker", "worker-gpu"} <= targets
    kept = re.findall(r"^!(.+)$", (PROJECT_DIR / ".dockerignore").read_text(), re.M)
    for name in kept:
        assert (PROJECT_DIR / name).exists(), name
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.M):
        for name in line.split():
            assert name == "." or name in kept, name
    for target in used:
        stage = re.search(rf"^FROM .* AS {target}$(.*?)(?=^FROM|\Z)", DOCKERFILE, re.M | re.S)
        assert stage is not None and stage[1].rstrip().splitlines()[-1] != "USER root"
        assert "USER app" in stage[1]


WITHOUT = """
import sys
absent = set({absent!r})
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in absent:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import searchapp.wsgi, searchapp.tasks
from django.urls import get_resolver
from django.core.management import call_command
assert get_resolver().url_patterns
call_command("check")
from searchapp import engine
assert engine.windows("some words", engine.spec())
assert not absent & set(sys.modules)
"""


def test_the_web_image_needs_nothing_that_is_left_out(tmp_path: Path) -> None:
    """The web image serves requests and cuts pages into windows without torch and its like."""
    match = re.search(r'grep -vE "\^\(([^)]+)\)\[\^a-z-\]" \\\n {4}> requirements.txt', DOCKERFILE)
    assert match is not None
    packages = match[1].split("|")
    assert {"torch", "transformers", "rapidocr"} <= set(packages)
    left_out = [line for line in requirements([]) if re.match(rf"({match[1]})[^a-z-]", line)]
    assert len(left_out) == len(packages)
    absent = sorted(name.replace("-", "_") for name in packages)
    env = {"DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "searchapp.settings", "PATH": ""}
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(absent=absent)],
        cwd=PROJECT_DIR,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr

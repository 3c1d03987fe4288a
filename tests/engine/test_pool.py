"""Several models in one engine process: on demand, few at a time, each asked by its name."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from embedding_engine.api import answer
from embedding_engine.base import Embedder
from embedding_engine.engine import make_engine
from embedding_engine.errors import EngineUnavailable, ModelLoading, ModelUnavailable
from embedding_engine.pool import ModelPool
from embedding_engine.types import (
    EmbedInput,
    EmbedRequest,
    ModelOptions,
    ModelSource,
    TextPart,
)
from tests.engine.checkpoints import dual_encoder

FAKE = ModelSource("fake")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    return ModelSource(str(dual_encoder.write_clip(tmp_path_factory.mktemp("clip"))))


@pytest.fixture(scope="module")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    return ModelSource(str(dual_encoder.write_siglip2_fixed(tmp_path_factory.mktemp("siglip"))))


class Slow:
    """Loads models when it is let; keeps what it was asked."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.asked: list[tuple[str, ModelOptions]] = []

    def __call__(self, model: str, options: ModelOptions) -> Embedder:
        self.asked.append((model, options))
        assert self.gate.wait(10)
        return make_engine(model, options)


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def pool(slow: Slow) -> Iterator[ModelPool]:
    made = ModelPool(slow, ModelOptions(), may_load=True)
    made.load(FAKE)
    yield made
    slow.gate.set()
    made.close()


def names(pool: ModelPool) -> list[str]:
    return [one.spec.name for one in pool.engines]


def ask(pool: ModelPool, path: str, **fields: Any) -> tuple[int, dict[str, Any]]:
    found = answer(pool, method="POST", path=path, body=json.dumps(fields).encode())
    return found.status, json.loads(found.body)


def embed(pool: ModelPool, model: str | None) -> tuple[int, int]:
    """Status, and how long the vector is."""
    named = {} if model is None else {"model": model}
    path = "/v2/embed" if model else "/v1/embed"
    status, body = ask(pool, path, input_type="search_query", texts=["pump"], **named)
    found = body.get("embeddings", [[]])
    return status, len((found["float"] if isinstance(found, dict) else found)[0])


def test_a_model_is_loaded_by_the_first_who_asks_for_it(
    pool: ModelPool, slow: Slow, clip: ModelSource
) -> None:
    slow.gate.clear()
    with pytest.raises(ModelLoading) as caught:
        pool.asked(clip)
    assert caught.value.retry_after_s
    status, body = ask(pool, "/v1/load", model=clip.model)
    assert (status, "being loaded" in body["message"]) == (202, True)
    named = ask(pool, "/v2/embed", model=clip.model, input_type="search_query", texts=["a"])
    assert (named[0], "being loaded" in named[1]["message"]) == (503, True)
    assert embed(pool, "fake") == (200, 1536)
    slow.gate.set()
    identity = pool.load(clip).spec.identity
    assert len(slow.asked) == 2
    status, body = ask(pool, "/v1/load", model=clip.model)
    assert (status, f"{body['name']}@{body['revision']}") == (200, identity)
    assert embed(pool, identity) == embed(pool, body["name"]) == (200, 24)
    assert embed(pool, "embed-v4.0") == embed(pool, None) == (200, 1536)
    assert embed(pool, "another")[0] == 404


def test_the_default_is_who_is_told_so(pool: ModelPool, clip: ModelSource) -> None:
    pool.load(clip)
    assert (embed(pool, "embed-v4.0"), names(pool)[0]) == ((200, 1536), "fake")
    assert ask(pool, "/v1/load", model=clip.model, is_default=True)[0] == 200
    assert (embed(pool, "embed-v4.0"), pool.spec.dimension) == ((200, 24), 24)
    assert embed(pool, "fake") == (200, 1536)
    listed = json.loads(answer(pool, method="GET", path="/v1/models", body=b"").body)["models"]
    assert [one["default_dimension"] or max(one["dimensions"]) for one in listed] == [24, 1536]


def test_the_least_recently_used_makes_room_but_never_the_default(
    pool: ModelPool, clip: ModelSource, siglip: ModelSource
) -> None:
    first = pool.load(clip)
    pool.load(siglip)
    assert [one.spec.dimension for one in pool.engines] == [1536, 32]
    assert embed(pool, "embed-v4.0") == (200, 1536)
    with pytest.raises(EngineUnavailable):
        first.embed(EmbedRequest((EmbedInput((TextPart("pump"),)),), "search_query"))
    pool.load(clip, is_default=True)
    pool.load(siglip)
    assert [one.spec.dimension for one in pool.engines] == [24, 32]
    assert embed(pool, "embed-v4.0") == (200, 24)
    assert embed(pool, "fake")[0] == 404


def test_one_model_under_two_names_is_held_once(
    pool: ModelPool, slow: Slow, clip: ModelSource, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(clip.model)
    assert pool.load(clip) is pool.load(ModelSource(str(tmp_path / "link")))
    assert len(slow.asked) == 2


def test_why_a_model_is_not_loaded_is_told_to_all_who_ask(
    pool: ModelPool, slow: Slow, tmp_path: Path
) -> None:
    broken = ModelSource(str(tmp_path))
    with pytest.raises(ModelLoading):
        pool.asked(broken)
    said = eventually(lambda: ask(pool, "/v1/load", model=str(tmp_path)), until=501)
    assert "is no checkpoint" in said["message"]
    with pytest.raises(ModelUnavailable, match="is no checkpoint"):
        pool.asked(broken)
    assert (names(pool), len(slow.asked)) == (["fake"], 1)


def eventually(call: Callable[[], tuple[int, dict[str, Any]]], until: int) -> dict[str, Any]:
    for _ in range(1_000):
        status, body = call()
        if status == until:
            return body
        threading.Event().wait(0.01)
    raise AssertionError(f"never {until}")


def test_the_key_goes_to_the_server_it_was_set_for() -> None:
    asked = []

    def make(model: str, options: ModelOptions) -> Embedder:
        asked.append((options.url, options.api_key))
        raise ModelUnavailable("nobody is there")

    pool = ModelPool(make, ModelOptions(url="https://one.example", api_key="secret"))
    for source in (
        ModelSource("any", url="https://one.example"),
        ModelSource("any", url="https://other.example"),
        FAKE,
    ):
        with pytest.raises(ModelUnavailable):
            pool.load(source)
    assert asked == [("https://one.example", "secret"), ("https://other.example", ""), ("", "")]


def test_without_key_or_private_socket_nothing_is_loaded(clip: ModelSource) -> None:
    pool = ModelPool(make_engine, ModelOptions())
    pool.load(FAKE)
    status, body = ask(pool, "/v1/load", model=clip.model)
    assert (status, "with a key" in body["message"]) == (401, True)
    assert names(pool) == ["fake"]
    assert ask(pool, "/v1/load", model="fake")[0] == 200
    pool.load(clip)
    assert ask(pool, "/v1/load", model=clip.model, is_default=True)[0] == 401
    assert pool.spec.name == "fake"
    pool.close()


def test_an_engine_of_one_model_describes_it() -> None:
    engine = make_engine("fake", ModelOptions())
    for model, status in (("fake", 200), ("other", 404)):
        body = json.dumps({"model": model}).encode()
        assert answer(engine, method="POST", path="/v1/load", body=body).status == status
    engine.close()


@pytest.mark.parametrize("fields", [{"model": 1}, {"model": "x", "url": []}])
def test_what_to_load_is_text(pool: ModelPool, fields: dict[str, Any]) -> None:
    assert ask(pool, "/v1/load", **fields)[0] == 400

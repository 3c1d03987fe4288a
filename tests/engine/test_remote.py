"""Models held elsewhere: servers that imitate Cohere, vLLM and SageMaker, and one of our own."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embedding_engine.engine import Engine, load_engine
from embedding_engine.errors import (
    EngineUnavailable,
    InvalidImage,
    InvalidInput,
    ModelNotFound,
    ModelUnavailable,
    TooManyTokens,
    Unauthorized,
)
from embedding_engine.models.remote import RemoteEngine
from embedding_engine.quantization import at_dimension
from embedding_engine.remote import EmbedClient
from embedding_engine.retries import Patience
from embedding_engine.types import (
    EmbedInput,
    EmbedRequest,
    ImagePart,
    InputType,
    ModelOptions,
    TextPart,
)
from embedding_engine.urgency import URGENT_INPUTS
from tests.engine.upstreams import KEY, Asked, Reply, cohere, json_reply, running, sagemaker, vllm
from tests.engine.upstreams import vector_of as vector

QUICK = Patience(query_s=5, document_s=5, start_s=0.3, first_pause_s=0.01, open_s=0.3)


@contextmanager
def remote(
    url: str, model: str = "embed-v4.0", key: str = KEY, patience: Patience = QUICK
) -> Iterator[RemoteEngine]:
    engine = RemoteEngine(model, ModelOptions(url=url, api_key=key), patience=patience)
    try:
        yield engine
    finally:
        engine.close()


def texts(*values: str, kind: InputType = "search_document", **more: object) -> EmbedRequest:
    inputs = tuple(EmbedInput((TextPart(value),)) for value in values)
    return EmbedRequest(inputs, kind, **more)  # type: ignore[arg-type]


def png(color: str = "red", size: tuple[int, int] = (60, 40)) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", size, color).save(buffer, "PNG")
    return buffer.getvalue()


def test_cohere_whole_vectors_are_cut_here_and_billed_units_add_up() -> None:
    with running(cohere) as upstream, remote(upstream.url) as engine:
        assert (engine.spec.dimensions, engine.spec.lanes) == (
            (256, 512, 1024, 1536),
            ("image", "text"),
        )
        values = [f"text {number}" for number in range(200)]
        result = engine.embed(texts(*values, output_dimension=256))
        whole = np.stack([vector(value, 1536) for value in values])
        assert np.allclose(result.vectors, at_dimension(whole, 256), atol=1e-6)
        assert np.allclose(np.linalg.norm(result.vectors, axis=1), 1, atol=1e-5)
        assert result.text_tokens == 400
        sent = upstream.embeds()
        assert sorted(len(body["texts"]) for body in sent) == [8, 96, 96]
        for body in sent:
            assert body["embedding_types"] == ["base64"]
            assert "output_dimension" not in body


def test_each_kind_of_input_goes_in_its_plain_field_and_comes_back_in_place() -> None:
    mixed = EmbedInput((TextPart("both"), ImagePart(png("blue"), "read already")))
    inputs = (
        EmbedInput((ImagePart(png()),)),
        EmbedInput((TextPart("a"),)),
        mixed,
        EmbedInput((TextPart("b"),)),
        EmbedInput((ImagePart(png("green"), "words"),)),
    )
    with running(cohere) as upstream, remote(upstream.url) as engine:
        result = engine.embed(EmbedRequest(inputs, "image"))
        by_field = {
            name: body
            for body in upstream.embeds()
            for name in ("texts", "images", "inputs")
            if name in body
        }
        assert by_field["texts"]["texts"] == ["a", "b"]
        assert by_field["texts"]["input_type"] == "search_document"
        assert by_field["images"]["input_type"] == "image"
        (both,) = by_field["inputs"]["inputs"]
        assert [sorted(part) for part in both["content"]] == [
            ["text", "type"],
            ["image_url", "type"],
        ]
        first, last = by_field["images"]["images"]
        expected = [first, "a", both, "b", last]
        for row, item in zip(result.vectors, expected, strict=True):
            assert np.allclose(row, vector(item, 1536), atol=1e-6)
        assert [(image.width, image.format) for image in result.images] == [(60, "png")] * 3


def test_errors_keep_the_message_and_name_the_place_in_the_whole_call() -> None:
    values = [f"text {number}" for number in range(120)]
    values[99] = "bad"
    with running(cohere) as upstream, remote(upstream.url) as engine:
        with pytest.raises(InvalidInput, match=r"^inputs\[99\]: cannot be read$"):
            engine.embed(texts(*values))
        with pytest.raises(TooManyTokens, match=r"^9 of 8$"):
            engine.embed(texts("long"))
        before = len(upstream.asked)
        with pytest.raises(InvalidInput):
            engine.embed(texts("bad"))
        assert len(upstream.asked) == before + 1, "what was refused is not asked again"
        with pytest.raises(InvalidImage, match=r"^inputs\[1\]: "):
            no_image = EmbedInput((ImagePart(b"no image"),))
            engine.embed(EmbedRequest((EmbedInput((TextPart("a"),)), no_image), "search_query"))


def test_bodies_stay_below_the_limit() -> None:
    # 3 MB of noise each: PNG cannot make it smaller.
    noise = np.random.default_rng(7).integers(0, 256, (1000, 1000, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    inputs = tuple(EmbedInput((ImagePart(buffer.getvalue()),)) for _ in range(8))
    sizes: list[int] = []

    def measured(asked: Asked) -> Reply:
        sizes.append(int(asked.headers.get("content-length", "0")))
        return cohere(asked)

    with running(measured) as upstream, remote(upstream.url) as engine:
        assert engine.embed(EmbedRequest(inputs, "search_document")).vectors.shape == (8, 1536)
    assert max(sizes) <= 20 * 1024 * 1024
    assert sum(sizes) > 8 * 4_000_000


def test_tokens_of_a_request_are_bounded() -> None:
    long = "word " * 30_000  # more than 30,000 tokens, counted as at most 75,000
    with running(cohere) as upstream, remote(upstream.url) as engine:
        engine.embed(texts(long, long, long, long))
        assert [len(body["texts"]) for body in upstream.embeds()] == [2, 2]
        upstream.asked.clear()
        engine.embed(texts(long, long, long, long, max_tokens=1_000))
        assert [len(body["texts"]) for body in upstream.embeds()] == [4]
        assert upstream.embeds()[0]["max_tokens"] == 1_000


def test_documents_several_at_a_time_and_queries_never_behind_them() -> None:
    with running(cohere) as upstream, remote(upstream.url) as engine:
        upstream.delay = lambda asked: (
            1.0 if asked.body.get("input_type") == "search_document" else 0.0
        )
        with ThreadPoolExecutor(1) as pool:
            many = pool.submit(engine.embed, texts(*[f"text {n}" for n in range(96 * 6)]))
            while upstream.in_flight < QUICK.in_flight:
                assert not many.done()
                time.sleep(0.01)
            engine.embed(texts("a query", kind="search_query"))
            assert not many.done()
            assert engine.metrics()["waiting_documents"] == 1
            assert len(many.result().vectors) == 96 * 6
        assert upstream.most_in_flight == QUICK.in_flight + 1


def test_many_queries_at_once_are_nobodys_search() -> None:
    """They wait with the documents: the threads of those who wait stay free."""
    with running(cohere) as upstream, remote(upstream.url) as engine:
        upstream.delay = lambda asked: 1.0 if len(asked.body.get("texts", ())) > 1 else 0.0
        with ThreadPoolExecutor(1) as pool:
            bulk = [f"query {n}" for n in range(URGENT_INPUTS + 1)]
            many = pool.submit(engine.embed, texts(*bulk, kind="search_query"))
            while not upstream.in_flight:
                assert not many.done()
                time.sleep(0.01)
            metrics = engine.metrics()
            assert (metrics["waiting_documents"], metrics["waiting_queries"]) == (1, 0)
            assert len(many.result().vectors) == len(bulk)


def test_vllm_is_learned_from_one_probe() -> None:
    with running(vllm()) as upstream, remote(upstream.url, "org/some-model", "") as engine:
        spec = engine.spec
        assert (spec.name, spec.dimensions, spec.lanes) == ("org/some-model", (640,), ("text",))
        assert (spec.context_tokens, spec.revision) == (4096, "org/some-model")
        result = engine.embed(texts("a", "b", kind="clustering"))
        assert np.allclose(result.vectors[1], vector("b", 640), atol=1e-6)
        assert (result.text_tokens, upstream.embeds()[0]["input_type"]) == (0, "clustering")
        assert "authorization" not in upstream.asked[0].headers
        with pytest.raises(InvalidInput, match="does not support multimodal"):
            engine.embed(EmbedRequest((EmbedInput((ImagePart(png()),)),), "image"))
        with pytest.raises(InvalidInput, match="one of 640"):
            engine.embed(texts("a", output_dimension=256))
        with pytest.raises(InvalidInput, match="does not offer its tokenizer"):
            engine.tokenize("a")


@pytest.mark.parametrize("has_base64", [True, False])
def test_vllm_with_a_model_without_prompts(has_base64: bool) -> None:
    server = vllm(has_prompts=False, has_base64=has_base64)
    with running(server) as upstream, remote(upstream.url + "/v1", "org/some-model") as engine:
        assert np.allclose(engine.embed(texts("a")).vectors[0], vector("a", 640), atol=1e-6)
        (sent,) = upstream.embeds()
        assert "input_type" not in sent
        assert sent["embedding_types"] == ["base64" if has_base64 else "float"]


def test_a_gateway_that_lists_no_models() -> None:
    def gateway(asked: Asked) -> Reply:
        is_list = asked.method == "GET"
        return json_reply({"message": "forbidden"}, 403) if is_list else cohere(asked)

    with running(gateway) as upstream, remote(upstream.url) as engine:
        assert len(engine.embed(texts("a")).vectors) == 1


def test_sagemaker_endpoint_by_its_path() -> None:
    with (
        running(sagemaker) as upstream,
        remote(f"{upstream.url}/invocations", "embed-v4.0") as engine,
    ):
        result = engine.embed(texts("a", output_dimension=512))
        assert np.allclose(result.vectors[0], at_dimension(vector("a", 1536)[None], 512)[0])
        assert {asked.path for asked in upstream.asked} == {"/invocations"}


def test_start_says_what_is_wrong() -> None:
    with running(cohere) as upstream:
        with (
            pytest.raises(Unauthorized, match="invalid api token") as refused,
            remote(upstream.url, key="wrong-key-2"),
        ):
            pass
        assert "wrong-key-2" not in str(refused.value)
        with (
            pytest.raises(ModelNotFound, match="'embed-v9' not found"),
            remote(upstream.url, "embed-v9"),
        ):
            pass
    with (
        running(lambda asked: json_reply({"detail": "Not Found"}, 404)) as upstream,
        pytest.raises(ModelNotFound, match="Not Found"),
        remote(upstream.url),
    ):
        pass
    for url in ("ftp://host", "host:80", "http://", "http://[::1"):
        with pytest.raises(ModelUnavailable, match="address"), remote(url):
            pass
    with pytest.raises(Unauthorized), remote("http://127.0.0.1:1", key="two\r\nlines"):
        pass


def test_a_model_of_servers_needs_an_address() -> None:
    with pytest.raises(ModelUnavailable, match="set EMBEDDING_URL"):
        load_engine("embed-v4.0")


def test_a_dead_server_at_start() -> None:
    with running(cohere) as upstream:
        url = upstream.url
    # Nobody answers there now. Known: up, and says so to each call. Unknown: nothing to serve.
    with remote(url) as engine:
        assert engine.spec.dimension == 1536
        with pytest.raises(EngineUnavailable):
            engine.embed(texts("a"))
    with (
        pytest.raises(EngineUnavailable, match="only this server can say what 'org/m' is"),
        remote(url, "org/m"),
    ):
        pass


def test_a_server_that_comes_up_later_is_met_then() -> None:
    with running(cohere) as upstream:
        upstream.script.extend([Reply(503)])
        with remote(upstream.url) as engine:
            assert len(upstream.embeds()) == 0
            assert np.allclose(engine.embed(texts("a")).vectors[0], vector("a", 1536), atol=1e-6)


def test_another_model_behind_the_address_is_noticed() -> None:
    with running(cohere) as upstream, remote(upstream.url) as engine:
        upstream.script.append(json_reply({"embeddings": {"float": [[0.6, 0.8]]}}))
        with pytest.raises(ModelUnavailable, match="2 dimensions instead of 1536"):
            engine.embed(texts("a"))
        upstream.script.append(json_reply({"message": "no such key"}, 401))
        with pytest.raises(ModelUnavailable, match="refuses us: no such key"):
            engine.embed(texts("a"))


@pytest.fixture(scope="module")
def own() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "engine.sock"
        command = [sys.executable, "-m", "embedding_engine", "--model", "fake", "--uds", str(path)]
        process = subprocess.Popen(command)
        try:
            for _ in range(600):
                with EmbedClient(f"unix://{path}", timeout=2) as client:
                    try:
                        client.models()
                        break
                    except EngineUnavailable:
                        time.sleep(0.05)
            yield f"unix://{path}"
        finally:
            process.kill()
            process.wait()


def test_another_node_of_ours_gives_the_same_vectors(own: str) -> None:
    inputs = (
        EmbedInput((TextPart("a harbour"), ImagePart(png(), "read already"))),
        EmbedInput((TextPart("naïve \U0001f6a2 数据 \ud800"),)),
    )
    here = Engine("fake")
    with remote(own, "embed-v4.0", "") as there:
        assert (there.spec.name, there.spec.aliases) == ("fake", ("embed-v4.0",))
        assert there.spec.dimensions == here.spec.dimensions
        assert there.spec.lanes == here.spec.lanes
        assert there.spec.int8_ranges == here.spec.int8_ranges
        for dimension in (None, 256):
            request = EmbedRequest(inputs, "search_query", dimension)
            mine, theirs = here.embed(request), there.embed(request)
            assert np.allclose(mine.vectors, theirs.vectors, atol=1e-6)
            assert mine.images == theirs.images
            assert mine.text_tokens == theirs.text_tokens
        ids, pieces = there.tokenize("open sea")
        assert (len(ids), "".join(pieces).replace(" ", "")) == (2, "opensea")
    here.close()
    with pytest.raises(ModelNotFound, match="holds 'fake', not 'org/m'"), remote(own, "org/m", ""):
        pass


def test_forward_passes_on_what_comes(own: str) -> None:
    with EmbedClient(own, timeout=5) as client:
        answer = client.forward("POST", "/v2/embed", b'{"a":')
        assert answer.status == 400
        assert b"invalid json syntax" in answer.body
        assert dict(answer.headers)["content-type"].startswith("application/json")
        assert "connection" not in dict(answer.headers)
        assert client.forward("GET", "/nowhere", b"").status == 404
        with pytest.raises(ValueError, match="begins with /"):
            client.forward("GET", "http://elsewhere.example/", b"")
    with EmbedClient("unix:///nowhere.sock", timeout=5) as client, pytest.raises(EngineUnavailable):
        client.forward("GET", "/ping", b"")

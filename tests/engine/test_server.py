"""The real server process on a Unix socket, spoken to by the real client and by plain HTTP."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from embedding_engine.engine import Engine
from embedding_engine.errors import (
    EngineUnavailable,
    InputTooLarge,
    InvalidInput,
    ModelNotFound,
    TooManyTokens,
)
from embedding_engine.keypoints import query_keypoints
from embedding_engine.remote import EmbedClient
from embedding_engine.types import EmbedInput, EmbedRequest, ImagePart, TextPart


@dataclass(frozen=True)
class Server:
    socket: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def http(self) -> httpx.Client:
        return httpx.Client(
            transport=httpx.HTTPTransport(uds=str(self.socket)), base_url="http://engine"
        )


def started(path: Path, model: str = "fake") -> Server:
    command = [sys.executable, "-m", "embedding_engine", "--model", model, "--uds", str(path)]
    server = Server(path, subprocess.Popen(command, stderr=subprocess.PIPE))
    for _ in range(600):
        if is_answering(path):
            return server
        assert server.process.poll() is None
        time.sleep(0.05)
    raise AssertionError("the server did not start")


def is_answering(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def stopped(server: Server) -> int:
    server.process.send_signal(signal.SIGTERM)
    server.process.communicate(timeout=20)
    return server.process.returncode


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    # Unix socket paths end at about 107 bytes: pytest's own folders are too long.
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    made = started(folder / "engine.sock")
    yield made
    made.process.kill()
    made.process.communicate()


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[EmbedClient]:
    with EmbedClient(server.url, timeout=60) as made:
        yield made


def png(text: str = "", size: tuple[int, int] = (640, 480)) -> bytes:
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).text((40, 40), text, fill="black", font=ImageFont.load_default(size=40))
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def texts(*values: str, dimension: int | None = None) -> EmbedRequest:
    inputs = tuple(EmbedInput((TextPart(value),)) for value in values)
    return EmbedRequest(inputs, "search_document", dimension)


def test_remote_vectors_equal_those_in_process(client: EmbedClient) -> None:
    request = EmbedRequest(
        (
            EmbedInput((TextPart("a harbour"), ImagePart(png()))),
            EmbedInput((TextPart("naïve \U0001f6a2 数据"),)),
        ),
        "search_query",
        512,
    )
    engine = Engine("fake")
    here, there = engine.embed(request), client.embed(request, model="fake")
    engine.close()
    assert np.array_equal(here.vectors, there.vectors)
    assert (here.text_tokens, here.image_tokens) == (there.text_tokens, there.image_tokens)
    assert here.images == there.images


def test_more_inputs_than_a_request_may_have(client: EmbedClient) -> None:
    values = [f"text number {number}" for number in range(200)]
    many = client.embed(texts(*values, dimension=256), model="fake")
    assert many.vectors.shape == (200, 256)
    last = client.embed(texts(values[-1], dimension=256), model="fake")
    assert np.array_equal(many.vectors[-1], last.vectors[0])


def test_parallel_requests_do_not_mix(client: EmbedClient) -> None:
    values = [f"subject {number}" for number in range(48)]
    with ThreadPoolExecutor(16) as pool:
        single = list(pool.map(lambda v: client.embed(texts(v), model="fake").vectors[0], values))
    assert np.array_equal(np.stack(single), client.embed(texts(*values), model="fake").vectors)


def test_reading_over_the_socket(client: EmbedClient) -> None:
    reading = client.read(png("Open sea"))
    assert reading.text == "Open sea"
    assert [word.text for word in reading.words] == ["Open", "sea"]
    with pytest.raises(InvalidInput):
        client.read(b"no image")


def test_keypoints_over_the_socket(client: EmbedClient) -> None:
    picture = png("Open sea")
    came, made = client.keypoints(picture), query_keypoints(picture)
    assert len(came.points) > 10
    assert (came.points.to_bytes(), came.words) == (made.points.to_bytes(), made.words)
    with pytest.raises(InvalidInput):
        client.keypoints(b"no image")


def test_client_errors_by_cause(client: EmbedClient, folder: Path) -> None:
    with pytest.raises(ModelNotFound):
        client.embed(texts("a"), model="nonexistent")
    with pytest.raises(InvalidInput, match="output_dimension"):
        client.embed(texts("a", dimension=300), model="fake")
    with pytest.raises(TooManyTokens):
        client.embed(
            EmbedRequest((EmbedInput((TextPart("a b c"),)),), "clustering", None, 2, "NONE"),
            model="fake",
        )
    with pytest.raises(InputTooLarge):
        client.embed(texts("a" * 21 * 1024 * 1024), model="fake")
    with (
        EmbedClient(f"unix://{folder}/nobody.sock", timeout=5) as lost,
        pytest.raises(EngineUnavailable) as caught,
    ):
        lost.embed(texts("a"), model="fake")
    assert caught.value.retryable


def test_plain_http(server: Server) -> None:
    with server.http() as http:
        assert http.get("/ping").status_code == 200
        assert http.get("/v1/models").json()["models"][0]["name"] == "fake"
        assert "engine_batches_total " in http.get("/metrics").text
        missing = http.get("/nowhere")
        assert (missing.status_code, missing.json()["message"]) == (404, "404 page not found")
        broken = http.post("/v2/embed", content=b'{"a":')
        assert broken.status_code == 400
        assert broken.json()["message"].startswith("invalid json syntax: ")
        body = {"model": "fake", "input_type": "search_query", "texts": ["a"]}
        answer = http.post("/v2/embed/", json=body)
        assert answer.status_code == 200
        assert answer.json()["response_type"] == "embeddings_by_type"


def test_oversize_body_is_refused_unread(server: Server) -> None:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(20)
        raw.connect(str(server.socket))
        raw.sendall(b"POST /v2/embed HTTP/1.1\r\nHost: x\r\nContent-Length: 20971521\r\n\r\n{")
        head, _, rest = raw.recv(65_536).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 413")
        assert json.loads(rest or raw.recv(65_536))["message"]


def test_socket_mode_stale_file_and_clean_end(folder: Path) -> None:
    path = folder / "again.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    first = started(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    command = [sys.executable, "-m", "embedding_engine", "--model", "fake", "--uds", str(path)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert second.returncode == 1
    assert "another engine answers" in second.stderr
    assert is_answering(path)
    assert stopped(first) == 0
    assert not path.exists()


def test_killed_server_is_reported_as_unavailable(folder: Path) -> None:
    short_lived = started(folder / "short.sock")
    with EmbedClient(short_lived.url, timeout=10) as client:
        client.embed(texts("a"), model="fake")
        short_lived.process.kill()
        short_lived.process.communicate()
        with pytest.raises(EngineUnavailable):
            client.embed(texts("a"), model="fake")


@pytest.mark.parametrize("model", ["nonexistent", "Qwen/Qwen3-VL-Embedding-2B"])
def test_missing_weights_are_one_line_at_start(folder: Path, model: str) -> None:
    command = [sys.executable, "-m", "embedding_engine", "--model", model]
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder)}
    command += ["--uds", str(folder / "missing.sock")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert model in ended.stderr

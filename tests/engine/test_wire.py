"""Embed v2 bodies in and out, against the contract's wording. No model runs here."""

import base64
import json
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from embedding_engine.errors import EngineError, InvalidInput, ModelNotFound, TooManyTokens
from embedding_engine.quantization import normalised
from embedding_engine.registry import model_spec
from embedding_engine.types import EmbedResult, ImageFacts, ImagePart, TextPart
from embedding_engine.wire import embed_response, error_body, parse_embed_body, status_of

SPEC = model_spec("fake")


def png_uri(label: str = "image/png", size: tuple[int, int] = (100, 80)) -> str:
    buffer = BytesIO()
    Image.new("RGB", size, "red").save(buffer, "PNG")
    return f"data:{label};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "embed-v4.0", "input_type": "search_document", **fields}


def test_texts_with_all_optional_fields_null() -> None:
    nulls = dict.fromkeys(
        ("images", "inputs", "max_tokens", "output_dimension", "embedding_types", "truncate")
    )
    with_nulls = parse_embed_body(body(texts=["one", ""], priority=None, **nulls), spec=SPEC)
    assert with_nulls == parse_embed_body(body(texts=["one", ""]), spec=SPEC)
    assert with_nulls.embedding_types == ("float",)
    assert with_nulls.request.output_dimension == 1536
    assert with_nulls.request.truncate == "END"
    assert [part.parts for part in with_nulls.request.inputs] == [
        (TextPart("one"),),
        (TextPart(""),),
    ]


@pytest.mark.parametrize("name", ["fake", "embed-v4.0", "cohere.embed-v4:0"])
def test_model_names(name: str) -> None:
    assert parse_embed_body({**body(texts=["a"]), "model": name}, spec=SPEC).texts == ("a",)


def test_unknown_model() -> None:
    with pytest.raises(ModelNotFound) as caught:
        parse_embed_body({**body(texts=["a"]), "model": "nonexistent"}, spec=SPEC)
    assert status_of(caught.value) == 404
    assert error_body(caught.value)["message"] == (
        "model 'nonexistent' not found, make sure the correct model ID was used "
        "and that you have access to the model."
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"texts": ["a"], "model": None}, "a model parameter is required for this endpoint"),
        ({"texts": ["a"], "input_type": "foo"}, "valid input_type must be provided"),
        ({"texts": ["a"], "input_type": None}, "valid input_type must be provided"),
        ({"texts": ["a"], "input_type": ["x"]}, "valid input_type must be provided"),
        ({"texts": ["a"], "input_type": "image"}, "input_type image takes"),
        ({}, "exactly one of texts, images or inputs"),
        ({"texts": []}, "exactly one of texts, images or inputs"),
        ({"texts": ["a"], "inputs": [{}]}, "exactly one of texts, images or inputs"),
        ({"texts": ["a"] * 97}, "total number of texts must be at most 96 - received 97"),
        ({"images": ["a"] * 97}, "total number of images must be at most 96 - received 97"),
        ({"texts": [{}]}, "parameter 'texts' is of type object but should be of type string"),
        ({"texts": "abc"}, "parameter 'texts' is of type string but should be of type array"),
        ({"texts": ["a"], "output_dimension": 300}, "output_dimension must be one of"),
        ({"texts": ["a"], "output_dimension": "256"}, "output_dimension must be an integer"),
        ({"texts": ["a"], "max_tokens": 0}, "max_tokens must be at least 1"),
        ({"texts": ["a"], "max_tokens": True}, "max_tokens must be an integer"),
        ({"texts": ["a"], "truncate": "MIDDLE"}, "truncate must be one of"),
        ({"texts": ["a"], "priority": 1000}, "priority must be between 0 and 999"),
        ({"texts": ["a"], "embedding_types": ["float16"]}, "embedding_types must be among"),
        ({"texts": ["a"], "embedding_types": [{}]}, "embedding_types must be among"),
        ({"images": ["http://127.0.0.1/x.png"]}, "images[0]: an image must be a data URI"),
        ({"images": ["aGVsbG8="]}, "images[0]: an image must be a data URI"),
        ({"images": ["data:image/png;base64,%%%"]}, "images[0]: the image's base64 is broken"),
        ({"images": ["data:image/png;base64,aGVsbG8="]}, "images[0]: not a PNG, JPEG"),
        ({"inputs": [{"content": []}]}, "inputs[0]: content must be"),
        ({"inputs": [{"content": [{"type": "text"}]}]}, "inputs[0].content[0]: a text part"),
        (
            {"inputs": [{"content": [{"type": "image_url", "image_url": {}}]}]},
            "inputs[0].content[0]: an image needs",
        ),
        ({"inputs": [{"content": [{"type": "audio"}]}]}, "inputs[0].content[0]: type must be"),
    ],
)
def test_wrong_fields(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_embed_body(body(**fields), spec=SPEC)
    assert status_of(caught.value) == 400
    said = error_body(caught.value)["message"]
    assert message in said
    assert said.startswith("invalid ")


@pytest.mark.parametrize("value", [[], "x", None, 3])
def test_body_must_be_an_object(value: object) -> None:
    with pytest.raises(InvalidInput):
        parse_embed_body(value, spec=SPEC)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": png_uri(), "detail": "high"}},
        {"type": "image_url", "image_url": png_uri()},
        {"type": "image", "image": png_uri()},
        {"type": "image_url", "image": png_uri()},
        {"image_url": {"url": png_uri("image/jpeg")}},
    ],
)
def test_ways_to_write_an_image_part(part: dict[str, Any]) -> None:
    call = parse_embed_body(
        body(inputs=[{"content": [{"type": "text", "text": "x"}, part]}]), spec=SPEC
    )
    text, image = call.request.inputs[0].parts
    assert text == TextPart("x")
    assert isinstance(image, ImagePart)
    assert image.content.startswith(b"\x89PNG")


def test_aliases() -> None:
    bare = parse_embed_body(body(content=[{"type": "text", "text": "x"}]), spec=SPEC)
    assert bare.kind == "inputs"
    call = parse_embed_body(body(texts=["x"], embeddings_type="int8", truncate="left"), spec=SPEC)
    assert (call.embedding_types, call.request.truncate) == (("int8",), "START")


def test_response_holds_the_asked_types_only() -> None:
    vectors = normalised(np.random.default_rng(3).standard_normal((2, 256)).astype(np.float32))
    result = EmbedResult(vectors, text_tokens=5, image_tokens=0)
    kinds = ["float", "int8", "uint8", "binary", "ubinary", "base64", "float"]
    call = parse_embed_body(
        body(texts=["a", "b"], embedding_types=kinds, output_dimension=256), spec=SPEC
    )
    response = embed_response(call, result, spec=SPEC)
    lengths = {name: len(rows[0]) for name, rows in response["embeddings"].items()}
    assert lengths == {
        "float": 256,
        "int8": 256,
        "uint8": 256,
        "binary": 32,
        "ubinary": 32,
        "base64": 1368,
    }
    assert response["texts"] == ["a", "b"]
    assert "images" not in response
    assert response["meta"]["billed_units"] == {"input_tokens": 5, "image_tokens": 0}
    assert response["response_type"] == "embeddings_by_type"
    assert json.loads(json.dumps(response, allow_nan=False)) == response


def test_response_echoes_images() -> None:
    result = EmbedResult(
        np.eye(1, 256, dtype=np.float32), 0, 391, (ImageFacts(640, 480, "png", 24),)
    )
    call = parse_embed_body(body(images=[png_uri()], output_dimension=256), spec=SPEC)
    response = embed_response(call, result, spec=SPEC)
    assert response["images"] == [{"width": 640, "height": 480, "format": "png", "bit_depth": 24}]
    assert response["meta"]["billed_units"]["images"] == 1


def test_errors_speak_of_the_field_that_was_sent() -> None:
    error = TooManyTokens("inputs[3]: more than 8 tokens")
    assert error_body(error, kind="texts")["message"] == (
        "too many tokens: texts[3]: more than 8 tokens"
    )
    assert status_of(EngineError("odd")) == 500

"""The Embed API's requests: from JSON to what the engine takes. Pure functions.

Knows neither HTTP servers nor models, nor how answers look (`answers`).
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, get_args

from embedding_engine.errors import InvalidInput, ModelNotFound
from embedding_engine.images import image_facts, image_from_data_uri
from embedding_engine.quantization import EMBEDDING_TYPES
from embedding_engine.registry import ACTIVE_ALIASES, ModelSpec
from embedding_engine.types import (
    EmbeddingType,
    EmbedInput,
    EmbedRequest,
    ImagePart,
    InputType,
    Part,
    TextPart,
    Truncate,
)

ENGINE_HEADER = "x-embedding-engine"
"""Told by our servers and our client: image parts may carry the text that was read on them."""
MAX_INPUTS = 96
MAX_BODY_BYTES = 20 * 1024 * 1024
Kind = Literal["texts", "images", "inputs"]
KINDS: tuple[Kind, ...] = get_args(Kind)
INPUT_TYPES: tuple[InputType, ...] = get_args(InputType)
TRUNCATE: Mapping[str, Truncate] = {
    "NONE": "NONE",
    "START": "START",
    "LEFT": "START",
    "END": "END",
    "RIGHT": "END",
}
MAX_PRIORITY = 999
MAX_PARTS = 4_096
"""Content parts of one request, so that a body of empty ones costs little time."""
TOO_MANY_TOKENS = "too many tokens: "
MODEL_REQUIRED = "a model parameter is required for this endpoint."

_MAX_TOKENS = 128_000
_ECHOED_CHARACTERS = 100
_MAX_DIGITS = 30
_TYPE_NAMES = ("embedding_types", "embeddings_types", "embeddings_type")

_REFERENCE = "For proper usage, please refer to https://docs.cohere.com/v2/reference/embed"
_JSON_NAMES = {dict: "object", list: "array", str: "string", bool: "bool", type(None): "null"}


@dataclass(frozen=True, slots=True)
class EmbedCall:
    """A parsed body: what to embed, and how the answer shall look.

    `is_by_type`: the types were named; `texts`: as sent, to be echoed.
    """

    request: EmbedRequest
    kind: Kind
    embedding_types: tuple[EmbeddingType, ...]
    texts: tuple[str, ...]
    is_by_type: bool = True


def parse_json(body: bytes) -> object:
    """A JSON text in UTF-8; InvalidInput for anything else, NaN and Infinity among it."""
    try:
        # json would take UTF-16 and a byte order mark as well.
        text = body.decode()
        return json.loads(text, parse_constant=_refuse_constant, parse_int=_integer_or_infinity)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"invalid json syntax: {error}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _integer_or_infinity(digits: str) -> float:
    """No field takes a long number, and to make or quote one of millions of digits takes long."""
    return int(digits) if len(digits) <= _MAX_DIGITS else math.inf


def parse_embed_body(
    body: object, *, spec: ModelSpec, is_model_required: bool = True, is_own: bool = False
) -> EmbedCall:
    """A decoded JSON body for the served model. Null equals absent; unknown fields are ignored.

    `is_own`: our own client sent it, whose pictures may carry the text that was read on them.
    Raises InvalidInput (400) and ModelNotFound (404) with the contract's messages.
    """
    if not isinstance(body, dict):
        raise InvalidInput("invalid type: the body must be a JSON object")
    fields: dict[str, Any] = {name: value for name, value in body.items() if value is not None}
    check_model(fields.get("model"), spec=spec, is_required=is_model_required)
    input_type = _input_type(fields)
    kind, items = _items(fields)
    if kind == "texts" and input_type == "image":
        raise InvalidInput("input_type image takes images or inputs, not texts")
    _integer(fields, "priority", low=0, high=MAX_PRIORITY)
    inputs = _PARSERS[kind](items)
    request = EmbedRequest(
        inputs=inputs if is_own else tuple(map(_unread, inputs)),
        input_type=input_type,
        output_dimension=spec.checked_dimension(_integer(fields, "output_dimension")),
        max_tokens=_integer(fields, "max_tokens", low=1, high=_MAX_TOKENS),
        truncate=_truncate(fields),
    )
    texts = tuple(items) if kind == "texts" else ()
    is_by_type = any(name in fields for name in _TYPE_NAMES)
    return EmbedCall(request, kind, _embedding_types(fields), texts, is_by_type)


def check_model(name: object, *, spec: ModelSpec, is_required: bool = True) -> None:
    """Whether `name` means the served model; InvalidInput, ModelNotFound if not."""
    if name is None and not is_required:
        return
    if name is None or name == "":
        raise InvalidInput(MODEL_REQUIRED)
    if not isinstance(name, str):
        raise wrong_type("model", name, "string")
    if not (spec.answers_to(name) or name in ACTIVE_ALIASES):
        raise ModelNotFound(
            f"model '{name[:_ECHOED_CHARACTERS]}' not found, make sure the correct model ID "
            "was used and that you have access to the model."
        )


def _input_type(fields: Mapping[str, Any]) -> InputType:
    for known in INPUT_TYPES:
        if fields.get("input_type") == known:
            return known
    raise InvalidInput("valid input_type must be provided with the provided model")


def _items(fields: Mapping[str, Any]) -> tuple[Kind, list[Any]]:
    """The one field that says what to embed; a bare `content` is one input."""
    if "content" in fields and not any(kind in fields for kind in KINDS):
        fields = {"inputs": [{"content": fields["content"]}]}
    # An empty list beside the filled one says nothing: the guide tells to leave `texts` empty.
    sent = [kind for kind in KINDS if fields.get(kind) not in (None, [])]
    if len(sent) != 1:
        raise InvalidInput("exactly one of texts, images or inputs must be provided and non-empty")
    kind, items = sent[0], fields[sent[0]]
    if not isinstance(items, list):
        raise wrong_type(kind, items, "array")
    if len(items) > MAX_INPUTS:
        raise InvalidInput(
            f"total number of {kind} must be at most {MAX_INPUTS} - received {len(items)}"
        )
    return kind, items


def _texts(items: Sequence[object]) -> tuple[EmbedInput, ...]:
    for text in items:
        if not isinstance(text, str):
            raise wrong_type("texts", text, "string")
    return tuple(EmbedInput((TextPart(str(text)),)) for text in items)


def _images(items: Sequence[object]) -> tuple[EmbedInput, ...]:
    return tuple(
        EmbedInput((_image_part(uri, place=f"images[{place}]"),)) for place, uri in enumerate(items)
    )


def _inputs(items: Sequence[object]) -> tuple[EmbedInput, ...]:
    contents = [item.get("content") for item in items if isinstance(item, dict)]
    if sum(len(content) for content in contents if isinstance(content, list)) > MAX_PARTS:
        raise InvalidInput(f"a request may have at most {MAX_PARTS:,} content parts")
    return tuple(_input(item, place=f"inputs[{place}]") for place, item in enumerate(items))


_PARSERS: Mapping[Kind, Callable[[Sequence[object]], tuple[EmbedInput, ...]]] = {
    "texts": _texts,
    "images": _images,
    "inputs": _inputs,
}


def _input(item: object, *, place: str) -> EmbedInput:
    content = item.get("content") if isinstance(item, dict) else None
    if not isinstance(content, list) or not content:
        raise InvalidInput(f"{place}: content must be a non-empty array of parts")
    return EmbedInput(
        tuple(
            _part(part, place=f"{place}.content[{number}]") for number, part in enumerate(content)
        )
    )


def _part(part: object, *, place: str) -> Part:
    if not isinstance(part, dict):
        raise InvalidInput(f"{place}: a part must be an object")
    match part.get("type"):
        case "text":
            if not isinstance(part.get("text"), str):
                raise InvalidInput(f"{place}: a text part needs a string 'text'")
            return TextPart(part["text"])
        case "image" | "image_url":
            return _image_part(_image_uri(part), place=place, text=part.get("text"))
        case None if "image_url" in part or "image" in part:
            return _image_part(_image_uri(part), place=place, text=part.get("text"))
    raise InvalidInput(f"{place}: type must be one of text, image_url")


def _image_uri(part: Mapping[str, object]) -> object:
    """`image_url: {url}`, `image_url: "data:"` and `image: "data:"` all occur in the wild."""
    found = part.get("image_url", part.get("image"))
    return found.get("url") if isinstance(found, dict) else found


def _image_part(uri: object, *, place: str, text: object = None) -> ImagePart:
    if not isinstance(uri, str):
        raise InvalidInput(f"{place}: an image needs a data URI")
    try:
        content = image_from_data_uri(uri)
        image_facts(content)
    except InvalidInput as error:
        raise type(error)(f"{place}: {error.message}") from error
    return ImagePart(content, text if isinstance(text, str) else None)


def _unread(one: EmbedInput) -> EmbedInput:
    """Its pictures as they are: a text beside one would stand for what can be seen on it."""
    return EmbedInput(
        tuple(
            ImagePart(part.content) if isinstance(part, ImagePart) else part for part in one.parts
        )
    )


def _embedding_types(fields: Mapping[str, Any]) -> tuple[EmbeddingType, ...]:
    wanted = next((fields[name] for name in _TYPE_NAMES if name in fields), ["float"])
    wanted = [wanted] if isinstance(wanted, str) else wanted
    if not isinstance(wanted, list) or not wanted or any(w not in EMBEDDING_TYPES for w in wanted):
        raise InvalidInput(f"embedding_types must be among {', '.join(EMBEDDING_TYPES)}")
    return tuple(dict.fromkeys(wanted))


def _truncate(fields: Mapping[str, Any]) -> Truncate:
    wanted = fields.get("truncate", "END")
    if not isinstance(wanted, str) or wanted.upper() not in TRUNCATE:
        raise InvalidInput(f"truncate must be one of {', '.join(TRUNCATE)}")
    return TRUNCATE[wanted.upper()]


def _integer(
    fields: Mapping[str, Any], name: str, *, low: int | None = None, high: int | None = None
) -> int | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidInput(f"{name} must be an integer")
    if (low is not None and value < low) or (high is not None and value > high):
        allowed = f"at least {low}" if high is None else f"between {low} and {high}"
        raise InvalidInput(f"{name} must be {allowed} - received {value}")
    return value


def wrong_type(name: str, value: object, expected: str) -> InvalidInput:
    """The contract's sentence for a value of the wrong JSON type."""
    actual = _JSON_NAMES.get(type(value), "number")
    return InvalidInput(
        f"invalid type: parameter '{name}' is of type {actual} but should be of type {expected}. "
        + _REFERENCE
    )

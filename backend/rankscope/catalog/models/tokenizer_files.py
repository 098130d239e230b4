"""Checks a model's tokenizer files: whether transformers can load them, and the highest token id.

Without any files, transformers creates a tokenizer with five tokens, for which every word is unknown. So the files are
checked here.
"""

import importlib.util
from collections.abc import Iterable, Iterator
from typing import cast

from rankscope.catalog.models.architectures import Architecture
from rankscope.catalog.models.files import MIB, ModelFiles, UnusableModel, json_kind, shown
from rankscope.catalog.models.tokenizer_json import check_tokenizer_json
from rankscope.catalog.models.tokenizer_settings import COPY, ROLES, check_settings

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "bpe.codes",
    "spm.model",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "sentencepiece.model",
    "entity_vocab.json",
    "tekken.json",
    "tiktoken.model",
)
_SENTENCEPIECE = ("spm.model", "spiece.model", "tokenizer.model", "sentencepiece.bpe.model", "sentencepiece.model")
_WITHOUT_FILES = frozenset({"canine", "esmc", "perceiver"})
_WORD_PIECES = frozenset(
    {
        "BertTokenizer",
        "ConvBertTokenizer",
        "DistilBertTokenizer",
        "ElectraTokenizer",
        "ErnieTokenizer",
        "EsmTokenizer",
        "FunnelTokenizer",
        "LayoutLMTokenizer",
        "LxmertTokenizer",
        "MobileBertTokenizer",
        "MPNetTokenizer",
        "RetriBertTokenizer",
        "SplinterTokenizer",
        "SqueezeBertTokenizer",
        "BertJapaneseTokenizer",
        "HerbertTokenizer",
    }
)
_PAIRS = frozenset(
    {
        "BartTokenizer",
        "CTRLTokenizer",
        "CodeGenTokenizer",
        "DebertaTokenizer",
        "GPT2Tokenizer",
        "GPTNeoXTokenizer",
        "LEDTokenizer",
        "LongformerTokenizer",
        "LukeTokenizer",
        "MvpTokenizer",
        "OpenAIGPTTokenizer",
        "Qwen2Tokenizer",
        "RobertaTokenizer",
        "BlenderbotTokenizer",
        "CLIPTokenizer",
        "WhisperTokenizer",
    }
)
_NEEDS_PACKAGE = {
    "BioGptTokenizer": "sacremoses",
    "FlaubertTokenizer": "sacremoses",
    "XLMTokenizer": "sacremoses",
    "RoFormerTokenizer": "rjieba",
    "PLBartTokenizer": "sentencepiece",
}
_NOT_PLAIN_TEXT = frozenset(
    {"LayoutLMv2Tokenizer", "LayoutLMv3Tokenizer", "LayoutXLMTokenizer", "MarkupLMTokenizer", "TapasTokenizer"}
)
_MAX_JSON_BYTES = 64 * MIB
_LISTED_JSON_BYTES = MIB
"""A larger vocabulary is checked when a run uses the model, not when models are listed: 10 MB of JSON take 50 ms."""
_LARGE_FILES = ("tokenizer.json", "vocab.json")
_SPECIAL = frozenset(
    {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<pad>", "<unk>", "<cls>", "<sep>", "<mask>", "<s>", "</s>"}
)
_FEWEST_WORDS = 3
"""As in the worker."""
_MAX_SPECIAL = 2000
"""Larger vocabularies are not checked for consisting of special tokens."""
_SAVE = (
    "Load the tokenizer with transformers on a machine where its packages are installed, and call save_pretrained, "
    "which writes tokenizer.json."
)


def is_quick_to_check(files: ModelFiles) -> bool:
    """Whether the vocabulary is small enough to check it whenever models are listed."""
    return all(files.regular[name].size <= _LISTED_JSON_BYTES for name in _LARGE_FILES if name in files.regular)


def has_chat_template(files: ModelFiles) -> bool:
    """Whether the tokenizer has a chat template, in a separate file or in its settings."""
    if "chat_template.jinja" in files.regular or "additional_chat_templates" in files.folders:
        return True
    if "tokenizer_config.json" not in files.regular:
        return False
    return bool(files.read_json("tokenizer_config.json", _MAX_JSON_BYTES).get("chat_template"))


def check_tokenizer(files: ModelFiles, architecture: Architecture, *, with_vocabulary: bool = True) -> int | None:
    """Returns the highest token id in the files, or None if it is unknown. Raises UnusableModel if they can't be loaded.

    If `with_vocabulary` is false, tokenizer.json and vocab.json must exist but are not read.
    """
    settings = (
        files.read_json("tokenizer_config.json", _MAX_JSON_BYTES) if "tokenizer_config.json" in files.regular else {}
    )
    for name in TOKENIZER_FILES:
        if name in files.others:
            files.require(name, "", "")
    tokenizer_class = _class_of(settings, architecture)
    _check_code(settings, tokenizer_class)
    check_settings("tokenizer_config.json", settings)
    if "special_tokens_map.json" in files.regular:
        check_settings("special_tokens_map.json", files.read_json("special_tokens_map.json", _MAX_JSON_BYTES))
    if tokenizer_class in _NOT_PLAIN_TEXT:
        raise UnusableModel(
            f"reads documents or tables, not plain text (its tokenizer is {tokenizer_class})",
            "Use a model for plain text.",
        )
    package = _NEEDS_PACKAGE.get(tokenizer_class)
    if package and importlib.util.find_spec(package) is None:
        raise UnusableModel(
            f"has a {tokenizer_class}, which needs the package {package}, which is not installed",
            f"Install it on the workers' hosts (pip install {package}), or use another model.",
        )
    if architecture.kind in _WITHOUT_FILES:
        return None
    if "tokenizer.json" in files.regular:
        if not with_vocabulary:
            return None
        return max([*_ids_of_fast(files, settings), *_added(files, settings)], default=None)
    if "vocab.txt" in files.regular and (tokenizer_class in _WORD_PIECES or not _is_known(tokenizer_class)):
        return max(_highest_of_lines(files, "vocab.txt", settings), *_added(files, settings), 0)
    if "vocab.json" in files.regular and (tokenizer_class in _PAIRS or not _is_known(tokenizer_class)):
        if "merges.txt" not in files.regular:
            raise UnusableModel("has vocab.json but no merges.txt", COPY)
        if not with_vocabulary:
            return None
        highest = _highest_of_mapping("vocab.json", files.read_json("vocab.json", _MAX_JSON_BYTES))
        return max(highest, *_added(files, settings), 0)
    found = next((name for name in _SENTENCEPIECE if name in files.regular), None)
    if found is not None:
        files_are_readable = all(importlib.util.find_spec(name) for name in ("sentencepiece", "google.protobuf"))
        if files_are_readable:
            return None
        raise UnusableModel(
            f"has its tokenizer only in {found}, which needs the packages sentencepiece and protobuf", _SAVE
        )
    others = [name for name in ("vocab.txt", "vocab.json", "bpe.codes") if name in files.regular]
    if others and _is_known(tokenizer_class):
        raise UnusableModel(f"has its tokenizer only in {others[0]}, which {tokenizer_class} does not read", _SAVE)
    if others:
        return None
    raise UnusableModel("has no tokenizer files, so every word would be unknown", COPY)


def _class_of(settings: dict[str, object], architecture: Architecture) -> str:
    """Returns the tokenizer's class: from tokenizer_config.json, otherwise the default for the kind of model."""
    named = settings.get("tokenizer_class")
    if named is not None and not isinstance(named, str):
        raise UnusableModel(
            f"tokenizer_config.json has {json_kind(named)} as tokenizer_class, which must be a name", COPY
        )
    name = named or architecture.tokenizer or ""
    name = name.removesuffix("Fast")
    usual = (architecture.tokenizer or "").removesuffix("Fast")
    is_general = name in ("", "TokenizersBackend", "PythonBackend", "PreTrainedTokenizer")
    return usual if is_general and usual else name


def _is_known(tokenizer_class: str) -> bool:
    """Whether it is known which files this class reads."""
    return tokenizer_class in _WORD_PIECES | _PAIRS | {
        "AlbertTokenizer",
        "BigBirdTokenizer",
        "CamembertTokenizer",
        "DebertaV2Tokenizer",
        "FNetTokenizer",
        "GemmaTokenizer",
        "LlamaTokenizer",
        "MBartTokenizer",
        "RemBertTokenizer",
        "T5Tokenizer",
        "XLMRobertaTokenizer",
        "XLNetTokenizer",
        "TokenizersBackend",
        "",
    }


def _check_code(settings: dict[str, object], tokenizer_class: str) -> None:
    code = settings.get("auto_map")
    named = code.get("AutoTokenizer") if isinstance(code, dict) else code
    if named and not _is_known(tokenizer_class):
        raise UnusableModel(
            "has a tokenizer that needs its own code (auto_map in tokenizer_config.json), and RankScope never runs a model's code",
            _SAVE,
        )


def _check_words(name: str, words: Iterable[str], settings: dict[str, object], special: Iterable[str] = ()) -> None:
    """Raises UnusableModel if nearly all tokens are special tokens, so that every word would be unknown."""
    named = {settings.get(f"{role}_token") for role in ROLES if isinstance(settings.get(f"{role}_token"), str)}
    left = {word for word in words if word} - named - {*special, *_SPECIAL}
    if len(left) < _FEWEST_WORDS:
        raise UnusableModel(f"has a {name} with almost only special tokens, so every word would be unknown", COPY)


def _ids_of_fast(files: ModelFiles, settings: dict[str, object]) -> Iterator[int]:
    """Yields token ids of tokenizer.json; none if the file is too large."""
    if files.regular["tokenizer.json"].size > _MAX_JSON_BYTES:
        return
    content = files.read_json("tokenizer.json", _MAX_JSON_BYTES)
    model = content.get("model")
    if not isinstance(model, dict):
        raise UnusableModel(f"tokenizer.json has {json_kind(model)} as its model", COPY)
    for name, value, known in (
        ("version", content.get("version"), (None, "1.0")),
        ("model.type", model.get("type"), (None, "BPE", "Unigram", "WordLevel", "WordPiece")),
    ):
        if value not in known:
            raise UnusableModel(f"tokenizer.json has {name} {str(value)[:40]!r}, which is unknown", COPY)
    added = content.get("added_tokens", [])
    if not isinstance(added, list) or not all(isinstance(token, dict) for token in added):
        what = "values that are not objects" if isinstance(added, list) else json_kind(added)
        raise UnusableModel(f"tokenizer.json has {what} as its added_tokens", COPY)
    special = [str(token.get("content")) for token in added if token.get("special")]
    vocabulary = model.get("vocab")
    if isinstance(vocabulary, list):
        words = [entry[0] for entry in vocabulary if isinstance(entry, list) and entry and isinstance(entry[0], str)]
        highest = len(vocabulary) - 1
    elif isinstance(vocabulary, dict):
        words, highest = list(vocabulary), _highest_of_mapping("tokenizer.json", vocabulary)
    else:
        raise UnusableModel(f"tokenizer.json has {json_kind(vocabulary)} as its vocabulary", COPY)
    if len(words) < _MAX_SPECIAL:
        _check_words("tokenizer.json", words, settings, special)
    check_tokenizer_json(content, files.regular["tokenizer.json"].size)
    yield highest
    yield from (token["id"] for token in added if type(token.get("id")) is int and not token.get("special"))


def _added(files: ModelFiles, settings: dict[str, object]) -> Iterator[int]:
    """Yields the ids of tokens that were added after the vocabulary.

    Special tokens are left out: a text never contains one, and padding uses another token if its own has no embedding.
    """
    names = [settings.get(f"{role}_token") for role in ROLES]
    special = {
        name.get("content") if isinstance(name, dict) else name for name in names if isinstance(name, str | dict)
    }
    if "added_tokens.json" in files.regular:
        added = files.read_json("added_tokens.json", _MAX_JSON_BYTES)
        _highest_of_mapping("added_tokens.json", added)
        yield from (cast(int, number) for token, number in added.items() if token not in special)
    decoder = settings.get("added_tokens_decoder")
    if isinstance(decoder, dict):
        for key, token in decoder.items():
            is_special = isinstance(token, dict) and token.get("special")
            if key.isascii() and key.isdigit() and len(key) < 16 and not is_special:
                yield int(key)


def _highest_of_mapping(name: str, vocabulary: dict[str, object]) -> int:
    """Returns the highest id of a vocabulary, -1 if it is empty. Without a Python loop: there are often 100,000 ids."""
    are_integers = set(map(type, vocabulary.values())) <= {int}
    numbers = cast(Iterable[int], vocabulary.values() if are_integers else ())
    if not are_integers or min(numbers, default=0) < 0:
        wrong = next(token for token, number in vocabulary.items() if type(number) is not int or number < 0)
        raise UnusableModel(f"{name} gives the token {shown(wrong)!r} an id that is not an integer of 0 or more", COPY)
    return max(numbers, default=-1)


def _highest_of_lines(files: ModelFiles, name: str, settings: dict[str, object]) -> int:
    """Returns the highest id of a vocabulary with one token per line."""
    text = files.read(name, _MAX_JSON_BYTES)
    try:
        lines = text.decode("utf-8").rstrip("\r\n").split("\n")
    except UnicodeDecodeError as error:
        raise UnusableModel(f"{name} is not UTF-8 text (byte {error.start})", COPY) from error
    if len(lines) < _MAX_SPECIAL:
        _check_words(name, (line.rstrip("\r") for line in lines), settings)
    return len(lines) - 1

"""Checks a model's tokenizer files: whether transformers can load them, and the highest token id.

Without any files, transformers creates a tokenizer with five tokens, for which every word is unknown. So the files are
checked here.
"""

import importlib.util
from collections.abc import Iterator
from typing import Any

from rankscope.catalog.models.architectures import Architecture
from rankscope.catalog.models.files import MIB, ModelFiles, UnusableModel, json_kind, shown

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
_MOST_JSON_BYTES = 64 * MIB
_LISTED_JSON_BYTES = MIB
"""A larger vocabulary is checked when a run uses the model, not when models are listed: 10 MB of JSON take 50 ms."""
_LARGE_FILES = ("tokenizer.json", "vocab.json")
_COPY = "Copy the tokenizer files (tokenizer.json, tokenizer_config.json) from the model into the folder."
_SAVE = (
    "Load the tokenizer with transformers on a machine where its packages are installed, and call save_pretrained, "
    "which writes tokenizer.json."
)


def is_quick_to_check(files: ModelFiles) -> bool:
    """Whether the vocabulary is small enough to check it whenever models are listed."""
    return all(files.regular[name].size <= _LISTED_JSON_BYTES for name in _LARGE_FILES if name in files.regular)


def check_tokenizer(files: ModelFiles, architecture: Architecture, *, with_vocabulary: bool = True) -> int | None:
    """Returns the highest token id in the files, or None if it is unknown. Raises UnusableModel if they can't be loaded.

    If `with_vocabulary` is false, tokenizer.json and vocab.json must exist but are not read.
    """
    settings = (
        files.read_json("tokenizer_config.json", _MOST_JSON_BYTES) if "tokenizer_config.json" in files.regular else {}
    )
    for name in TOKENIZER_FILES:
        if name in files.others:
            files.require(name, "", "")
    tokenizer_class = _class_of(settings, architecture)
    _check_code(settings, tokenizer_class)
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
        return max([*_ids_of_fast(files), *_added(files, settings)], default=None)
    if "vocab.txt" in files.regular and (tokenizer_class in _WORD_PIECES or not _is_known(tokenizer_class)):
        return max(_lines(files, "vocab.txt") - 1, *_added(files, settings), 0)
    if "vocab.json" in files.regular and (tokenizer_class in _PAIRS or not _is_known(tokenizer_class)):
        if "merges.txt" not in files.regular:
            raise UnusableModel("has vocab.json but no merges.txt", _COPY)
        if not with_vocabulary:
            return None
        highest = _highest_of_mapping("vocab.json", files.read_json("vocab.json", _MOST_JSON_BYTES))
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
    raise UnusableModel("has no tokenizer files, so every word would be unknown", _COPY)


def _class_of(settings: dict[str, Any], architecture: Architecture) -> str:
    """Returns the tokenizer's class: from tokenizer_config.json, otherwise the default for the kind of model."""
    named = settings.get("tokenizer_class")
    if named is not None and not isinstance(named, str):
        raise UnusableModel(
            f"tokenizer_config.json has {json_kind(named)} as tokenizer_class, which must be a name", _COPY
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


def _check_code(settings: dict[str, Any], tokenizer_class: str) -> None:
    code = settings.get("auto_map")
    named = code.get("AutoTokenizer") if isinstance(code, dict) else code
    if named and not _is_known(tokenizer_class):
        raise UnusableModel(
            "has a tokenizer that needs its own code (auto_map in tokenizer_config.json), and RankScope never runs a model's code",
            _SAVE,
        )


def _ids_of_fast(files: ModelFiles) -> Iterator[int]:
    """Yields token ids of tokenizer.json; none if the file is too large."""
    if files.regular["tokenizer.json"].size > _MOST_JSON_BYTES:
        return
    content = files.read_json("tokenizer.json", _MOST_JSON_BYTES)
    model = content.get("model")
    if not isinstance(model, dict):
        raise UnusableModel(f"tokenizer.json has {json_kind(model)} as its model", _COPY)
    vocabulary = model.get("vocab")
    if isinstance(vocabulary, list):
        yield len(vocabulary) - 1
    elif isinstance(vocabulary, dict):
        yield _highest_of_mapping("tokenizer.json", vocabulary)
    else:
        raise UnusableModel(f"tokenizer.json has {json_kind(vocabulary)} as its vocabulary", _COPY)
    added = content.get("added_tokens") or []
    if not isinstance(added, list):
        raise UnusableModel(f"tokenizer.json has {json_kind(added)} as its added_tokens", _COPY)
    yield from (
        token["id"]
        for token in added
        if isinstance(token, dict) and type(token.get("id")) is int and not token.get("special")
    )


def _added(files: ModelFiles, settings: dict[str, Any]) -> Iterator[int]:
    """Yields the ids of tokens that were added after the vocabulary.

    Special tokens are left out: a text never contains one, and padding uses another token if its own has no embedding.
    """
    names = [settings.get(f"{role}_token") for role in ("pad", "bos", "eos", "sep", "cls", "mask", "unk")]
    special = {
        name.get("content") if isinstance(name, dict) else name for name in names if isinstance(name, str | dict)
    }
    if "added_tokens.json" in files.regular:
        added = files.read_json("added_tokens.json", _MOST_JSON_BYTES)
        _highest_of_mapping("added_tokens.json", added)
        yield from (number for token, number in added.items() if token not in special)
    decoder = settings.get("added_tokens_decoder")
    if isinstance(decoder, dict):
        for key, token in decoder.items():
            is_special = isinstance(token, dict) and token.get("special")
            if key.isascii() and key.isdigit() and len(key) < 16 and not is_special:
                yield int(key)


def _highest_of_mapping(name: str, vocabulary: dict[str, Any]) -> int:
    """Returns the highest id of a vocabulary, -1 if it is empty. Without a Python loop: there are often 100,000 ids."""
    if not set(map(type, vocabulary.values())) <= {int}:
        wrong = next(token for token, number in vocabulary.items() if type(number) is not int)
        raise UnusableModel(f"{name} gives the token {shown(wrong)!r} an id that is not an integer", _COPY)
    return max(vocabulary.values(), default=-1)


def _lines(files: ModelFiles, name: str) -> int:
    text = files.read(name, _MOST_JSON_BYTES)
    return len(text.rstrip(b"\r\n").split(b"\n"))

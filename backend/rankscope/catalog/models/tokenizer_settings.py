"""The settings that every tokenizer has, in tokenizer_config.json and special_tokens_map.json."""

from rankscope.catalog.models.files import UnusableModel, json_kind

ROLES = ("pad", "bos", "eos", "sep", "cls", "mask", "unk")
"""Special tokens that have a setting: `pad_token` and so on."""
COPY = "Copy the tokenizer files (tokenizer.json, tokenizer_config.json) from the model into the folder."


def check_settings(name: str, settings: dict[str, object]) -> None:
    """Raises UnusableModel for values that transformers rejects."""
    for role in ROLES:
        token = settings.get(f"{role}_token")
        content = token.get("content") if isinstance(token, dict) else token
        if token is not None and not isinstance(content, str):
            raise UnusableModel(f"{name} has {json_kind(token)} as {role}_token, not a string", COPY)
    if settings.get("unk_token") == "":
        raise UnusableModel(f"{name} has an empty string as unk_token", COPY)
    for side in ("padding_side", "truncation_side"):
        if settings.get(side, "left") not in ("left", "right"):
            raise UnusableModel(f"{name} has {str(settings[side])[:40]!r} as {side}, not left or right", COPY)
    for flag in ("do_lower_case", "tokenize_chinese_chars", "strip_accents"):
        value = settings.get(flag, False)
        if not isinstance(value, bool) and not (value is None and flag == "strip_accents"):
            raise UnusableModel(f"{name} has {json_kind(value)} as {flag}, not true or false", COPY)
    decoder = settings.get("added_tokens_decoder")
    if decoder is not None and not (
        isinstance(decoder, dict)
        and all(key.isascii() and key.isdigit() for key in decoder)
        and all(isinstance(token, dict) and isinstance(token.get("content"), str) for token in decoder.values())
    ):
        raise UnusableModel(f"{name} has an added_tokens_decoder that is not an object of ids with tokens", COPY)

"""Reads and writes a configuration in YAML; reads JSON too. With limits, and with line and column in every error."""

import json
import math
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import yaml
from yaml.error import Mark
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from rankscope.contract.errors import RankScopeError

MAX_BYTES = 500_000
MAX_NODES = 20_000
"""Number of values after all aliases have been expanded."""
MAX_DEPTH = 30
_PLAIN = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map", "merge")
)
_SHORT_FLOAT = re.compile(r"^[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+$")


class UnreadableText(RankScopeError):
    """The text is not a valid configuration; the message says where and why."""


def read_mapping(path: Path, stdin: BinaryIO) -> dict[str, object]:
    """Returns the fields in a file, or in `stdin` for `-`. Raises UnreadableText."""
    name = "standard input" if str(path) == "-" else str(path)
    try:
        if str(path) == "-":
            data = stdin.read(MAX_BYTES + 1)
        else:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UnreadableText(f"{name} can't be read: {error.strerror}.") from error
    value = parse(_decoded(data, name), name)
    if not isinstance(value, dict):
        raise UnreadableText(
            f"{name} does not contain a configuration: the top level must have the fields model, data, method, training."
        )
    return value


def parse(text: str, name: str) -> object:
    """Returns the value of a YAML or JSON text: objects, lists, strings, numbers, true, false, null. Raises UnreadableText."""
    if text.lstrip().startswith("{"):
        try:
            return _json(text)
        except (ValueError, RecursionError):
            pass  # YAML in braces, or an error whose position the YAML parser reports
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _count(node)
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = f"{error.context}, {error.problem}" if str(error.problem).startswith("but ") else error.problem
        raise UnreadableText(f"{_place(name, mark)}: {problem or error.context}.") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        code = error.character if isinstance(error.character, int) else ord(error.character)
        raise UnreadableText(
            f"{name}, line {line}, column {column}: the character U+{code:04X} is not allowed."
        ) from error


def dump(value: object) -> str:
    """Returns the value as YAML, which `parse` reads back unchanged; fields keep their order."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


def _decoded(data: bytes, name: str) -> str:
    if len(data) > MAX_BYTES:
        raise UnreadableText(f"{name} is larger than {MAX_BYTES:,} bytes, the limit for a configuration.")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in data[:4]:
        raise UnreadableText(f"{name} is encoded in UTF-16 or UTF-32. Save it as UTF-8.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise UnreadableText(
            f"{name}, line {line}, column {column}: the byte 0x{data[error.start]:02X} is not UTF-8. Save the file as UTF-8."
        ) from error


def _json(text: str) -> object:
    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len({key for key, _ in pairs}) < len(pairs):
            raise ValueError("a key twice")
        return dict(pairs)

    def refuse(constant: str) -> NoReturn:
        raise ValueError(constant)

    value = json.loads(text, object_pairs_hook=once, parse_constant=refuse)
    _check_json(value, MAX_DEPTH)
    return value


def _check_json(value: object, depth: int) -> None:
    if depth == 0 or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError("too deep, or not finite")
    if isinstance(value, str):
        value.encode()  # half of a surrogate pair raises UnicodeEncodeError, which is a ValueError
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_json(part, depth - 1)


def _place(name: str, mark: Mark | None) -> str:
    return name if mark is None else f"{name}, line {mark.line + 1}, column {mark.column + 1}"


def _refuse(node: Node, problem: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _count(top: Node) -> None:
    """Rejects more than MAX_NODES values: ten lines of aliases can expand to a billion values."""
    left = MAX_NODES
    waiting = [(top, 1)]
    while waiting:
        node, depth = waiting.pop()
        left -= 1
        if left < 0:
            raise _refuse(
                node, f"aliases expand to more than {MAX_NODES:,} values; write the configuration without them"
            )
        if depth > MAX_DEPTH:
            raise _refuse(node, f"nesting is deeper than {MAX_DEPTH} levels")
        if isinstance(node, MappingNode):
            waiting += [(part, depth + 1) for pair in node.value for part in pair]
        elif isinstance(node, SequenceNode):
            waiting += [(part, depth + 1) for part in node.value]


class _Loader(yaml.SafeLoader):
    """SafeLoader without dates, sets, binary data and tags; 1e-3 is a number, and a key may appear only once."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str) -> None:
        self._depth = 0
        super().__init__(text)

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        self._depth += 1
        if self._depth > MAX_DEPTH + 1:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, f"nesting is deeper than {MAX_DEPTH} levels", mark)
        node: Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        if node.tag not in _PLAIN:
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            raise _refuse(node, f"the tag {tag} is not allowed: use text, numbers, true, false, lists and objects")
        try:
            value = super().construct_object(node, deep=deep)
        except (ValueError, OverflowError) as error:
            raise _refuse(node, f"{node.value[:40]!r} is not a valid number") from error
        if isinstance(value, float) and not math.isfinite(value):
            raise _refuse(node, f"{node.value!r} is not a finite number")
        if isinstance(value, str) and not value.isascii():
            try:  # JSON writes a character above U+FFFF as a surrogate pair
                return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
            except UnicodeDecodeError as error:
                raise _refuse(node, "contains half of a surrogate pair") from error
        return value

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Hashable, object]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, ScalarNode) or key.tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"):
                shown = f"{key.value!r} " if isinstance(key, ScalarNode) else ""
                raise _refuse(key, f"field names must be text; put {shown}in quotes")
            if key.value in seen:
                raise _refuse(key, f"the field {key.value!r} appears twice")
            seen.add(key.value)
        mapping: dict[Hashable, object] = super().construct_mapping(node, deep=deep)
        return mapping


class _Dumper(yaml.SafeDumper):
    """Quotes every text that `_Loader` would read as something else."""


for _kind in (_Loader, _Dumper):
    _kind.add_implicit_resolver("tag:yaml.org,2002:float", _SHORT_FLOAT, list("-+0123456789"))

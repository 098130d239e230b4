"""Files of encoded rows in Arrow's format: written a batch at a time, and mapped into memory."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa

from rankscope_worker.child.loading.encoded_rows import Columns

_MASKS = ("attention_mask", "token_type_ids")
_MOST_UNTYPED = 100


class DoesNotFit(Exception):
    """The values of a batch have another type than those before it, such as fractions after integers."""


def write_rows(path: Path, batches: Iterable[Columns], check: Callable[[int], None]) -> None:
    """Writes the rows in as few bytes as their values need. `check` is called with the size of the file after each batch.

    Raises DoesNotFit if the type of a column is not that of the first batches.
    """
    untyped: list[pa.Table] = []
    schema: pa.Schema | None = None
    with pa.OSFile(str(path), "wb") as file:
        writer: pa.RecordBatchFileWriter | None = None
        try:
            for batch in batches:
                table = pa.Table.from_pydict(dict(batch))
                if not table.num_rows:
                    continue
                untyped.append(table)
                if schema is None:
                    found = _unified(untyped)
                    if _has_unknown(found) and len(untyped) < _MOST_UNTYPED:
                        continue
                    schema = found
                    writer = pa.ipc.new_file(file, schema)
                _write(writer, untyped, schema)
                untyped = []
                check(file.tell())
            if schema is None:
                schema = _unified(untyped)
                writer = pa.ipc.new_file(file, schema)
                _write(writer, untyped, schema)
        finally:
            if writer is not None:
                writer.close()


def open_rows(path: Path) -> pa.Table:
    """Returns the rows of a file, which are read only when they are used. Raises OSError or ArrowException."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def _write(writer: pa.RecordBatchFileWriter | None, tables: Iterable[pa.Table], schema: pa.Schema) -> None:
    assert writer is not None
    for table in tables:
        try:
            fitting = table.select(schema.names).cast(schema)
        except (pa.ArrowException, KeyError) as error:
            raise DoesNotFit(str(error)) from error
        writer.write_table(fitting)


def _unified(tables: list[pa.Table]) -> pa.Schema:
    found = (
        pa.unify_schemas([table.schema for table in tables], promote_options="permissive") if tables else pa.schema([])
    )
    return pa.schema([(column.name, _narrow(column.type, column.name)) for column in found])


def _narrow(kind: pa.DataType, name: str, *, is_in_list: bool = False) -> pa.DataType:
    """Returns the type of a column in a file: token ids and positions in a text need four bytes, a mask needs one."""
    if pa.types.is_list(kind):
        return pa.list_(_narrow(kind.value_type, name, is_in_list=True))
    if is_in_list and pa.types.is_int64(kind):
        return pa.int8() if name in _MASKS else pa.int32()
    return kind


def _has_unknown(schema: pa.Schema) -> bool:
    return any(_is_unknown(column.type) for column in schema)


def _is_unknown(kind: pa.DataType) -> bool:
    return bool(pa.types.is_null(kind)) or (pa.types.is_list(kind) and _is_unknown(kind.value_type))

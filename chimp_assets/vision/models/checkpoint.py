"""Model files and model rows: what was learned, under which hash, and which model of a task is the champion.

Belongs here: writing and reading checkpoints (safetensors only: a model file must never be able to run code) and the
states of a row of `model` (candidate, champion, refused, retired).
Does not belong here: building networks (`embedder`), fitting, deciding (`evaluation`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import sqlalchemy as sa
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from chimp_assets.database import schema
from chimp_assets.errors import ChimpError

if TYPE_CHECKING:
    from torch import Tensor

    from chimp_assets.archive.storage.store import BlobStore
    from chimp_assets.database.connection.engine import Database

FORMAT = 1
"""Of model files. A file of a newer format is refused: this version cannot know what it means."""
FORMAT_KEY = "checkpoint_format"
T = TypeVar("T")
_ATTEMPTS = 20  # of processes that add models of one task at the same moment
CONFIG_LIMIT = 4000  # characters; the width of model.config


class ModelError(ChimpError):
    """A model cannot be fitted, found or used."""


class ModelFileError(ModelError):
    """A checkpoint is missing, has changed since it was written, or is not a safetensors file."""


@dataclass(frozen=True)
class ModelRow:
    """One row of `model`, with its config read from JSON."""

    model_id: int
    task: str
    version: int
    name: str
    parent_id: int | None
    training_set_id: int | None
    checkpoint_uri: str | None
    checkpoint_hash: str | None
    state: str
    reason: str | None
    config: dict[str, Any]


def content_hash(content: bytes) -> str:
    """blake2b-256 of bytes, 64 hexadecimal digits: the hash of every file in the store."""
    return hashlib.blake2b(content, digest_size=32).hexdigest()


def save_checkpoint(
    store: BlobStore, key_prefix: str, tensors: Mapping[str, Tensor | np.ndarray], config: Mapping[str, Any]
) -> tuple[str, str]:
    """Write tensors and config as one safetensors file. Returns (uri, blake2b-256 in hexadecimal).

    The uri is `<key_prefix>-<first 12 digits of the hash>.safetensors`, so equal content has one name, a step that is
    killed and run again writes the same file, and no file ever replaces another. The bytes are deterministic.
    """
    # One entry: several would come in random order, and equal content must have equal bytes.
    metadata = {"config": json.dumps({**config, FORMAT_KEY: FORMAT}, sort_keys=True)}
    arrays = {name: tensor for name, tensor in sorted(tensors.items()) if isinstance(tensor, np.ndarray)}
    if len(arrays) == len(tensors):  # the same bytes, without importing torch, which takes seconds
        content = save_safetensors({name: np.ascontiguousarray(a) for name, a in arrays.items()}, metadata=metadata)
    else:
        import torch
        from safetensors.torch import save

        whole = {
            name: (tensor if isinstance(tensor, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(tensor)))
            .detach()
            .cpu()
            .contiguous()
            for name, tensor in sorted(tensors.items())
        }
        content = save(whole, metadata=metadata)
    digest = content_hash(content)
    uri = f"{key_prefix}-{digest[:12]}.safetensors"
    store.put(uri, content)
    return uri, digest


def load_checkpoint(store: BlobStore, uri: str, expected_hash: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors (CPU) and config of a checkpoint. Raises ModelFileError if it is missing, changed, malformed or newer."""
    from safetensors.torch import load

    return _loaded(store, uri, expected_hash, load)


def load_arrays(store: BlobStore, uri: str, expected_hash: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """As `load_checkpoint`, but NumPy arrays: for models that need no torch, whose import takes seconds."""
    return _loaded(store, uri, expected_hash, load_safetensors)


def _loaded(
    store: BlobStore, uri: str, expected_hash: str, load: Callable[[bytes], dict[str, T]]
) -> tuple[dict[str, T], dict[str, Any]]:
    content = read_checked(store, uri, expected_hash)
    try:
        tensors = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        config = json.loads(header.get("__metadata__", {}).get("config", "{}"))
        made_with = int(config.pop(FORMAT_KEY, FORMAT))
    except (SafetensorError, ValueError, KeyError) as error:
        raise ModelFileError(
            f"The model file {uri} is not a safetensors file: {error}.", "Restore it from a backup or train again."
        ) from error
    if made_with > FORMAT:
        raise ModelFileError(
            f"The model file {uri} was written by a newer version (format {made_with}; this one reads {FORMAT}).",
            "Update Chimp Assets, or train again.",
        )
    return tensors, config


def read_checked(store: BlobStore, uri: str, expected_hash: str) -> bytes:
    """Bytes of a file of the store whose hash is in SQL. Raises ModelFileError if it is missing or has changed."""
    if store.head(uri) is None:
        raise ModelFileError(f"The model file {uri} is missing from the store.", "Restore it, or train again.")
    content = store.get(uri)
    digest = content_hash(content)
    if digest != expected_hash:
        raise ModelFileError(
            f"The model file {uri} has changed since it was written (hash {digest[:12]}, expected"
            f" {expected_hash[:12]}).",
            "Restore it from a backup or train again. It was not used.",
        )
    return content


def register_model(
    db: Database,
    task: str,
    name: str,
    config: Mapping[str, Any],
    checkpoint_uri: str | None = None,
    checkpoint_hash: str | None = None,
    parent_id: int | None = None,
    training_set_id: int | None = None,
    state: str = "candidate",
) -> int:
    """Add a row of `model` and return its id; versions count from 1 within a task.

    A candidate that a training set gave before with these very bytes and this parent is not added again: its id is
    returned, also if two processes ask at once. A new champion retires the old one in the same transaction. Raises
    ValueError if the config does not fit its column.
    """
    text = json.dumps(dict(config), sort_keys=True)
    if len(text) > CONFIG_LIMIT:
        raise ValueError(f"the config of a {task} takes {len(text)} characters of JSON; {CONFIG_LIMIT} fit")
    now = datetime.now(UTC)
    row = {
        "task": task,
        "name": name,
        "parent_id": parent_id,
        "training_set_id": training_set_id,
        "checkpoint_uri": checkpoint_uri,
        "checkpoint_hash": checkpoint_hash,
        "state": state,
        "config": text,
        "created_at": now,
        "decided_at": now if state == "champion" else None,
    }
    for _ in range(_ATTEMPTS):
        try:
            with db.write() as conn:
                return _registered(conn, row, now)
        except sa.exc.IntegrityError:  # another process took this version: perhaps with the very same model
            continue
    with db.write() as conn:
        return _registered(conn, row, now)


def _registered(conn: sa.Connection, row: Mapping[str, Any], now: datetime) -> int:
    """Key of a new row with the next version; of the old one if a training set gave the same bytes before.

    Two jobs of one training set look and add at the same moment; the version, which is unique, lets one of them in.
    """
    c = schema.model.c
    # First: a row that is committed after this is met by the insertion, one from before is seen below.
    version = conn.execute(sa.select(sa.func.coalesce(sa.func.max(c.version), 0)).where(c.task == row["task"]))
    number = int(version.scalar_one()) + 1
    if row["training_set_id"] is not None and row["checkpoint_hash"] is not None and row["state"] == "candidate":
        parent = c.parent_id.is_(None) if row["parent_id"] is None else c.parent_id == row["parent_id"]
        same = [c[name] == row[name] for name in ("task", "training_set_id", "checkpoint_hash")]
        there = conn.scalar(sa.select(sa.func.min(c.model_id)).where(*same, parent))
        if there is not None:
            return int(there)
    if row["state"] == "champion":
        _retire_champion(conn, row["task"], now)
    key = conn.execute(sa.insert(schema.model).values(**row, version=number)).inserted_primary_key
    assert key is not None
    return int(key[0])


def registered_model(
    db: Database, task: str, training_set_id: int, checkpoint_hash: str, parent_id: int | None = None
) -> int | None:
    """Key of the model that a training set gave with these very bytes (and this parent, if given), or None."""
    c = schema.model.c
    same = [c.task == task, c.training_set_id == training_set_id, c.checkpoint_hash == checkpoint_hash]
    if parent_id is not None:
        same.append(c.parent_id == parent_id)
    with db.read() as conn:
        return conn.scalar(sa.select(sa.func.min(c.model_id)).where(*same))


def champion(conn: sa.Connection, task: str) -> ModelRow | None:
    """The champion of a task, or None."""
    model = schema.model
    row = conn.execute(sa.select(model).where(model.c.task == task, model.c.state == "champion")).one_or_none()
    return None if row is None else _model_row(row)


def model_of(conn: sa.Connection, model_id: int) -> ModelRow:
    """A model by its key. Raises ModelError if there is none."""
    row = conn.execute(sa.select(schema.model).where(schema.model.c.model_id == model_id)).one_or_none()
    if row is None:
        raise ModelError(f"There is no model {model_id}.", "`chimp status` lists the models.")
    return _model_row(row)


def candidates(conn: sa.Connection, task: str) -> list[int]:
    """Keys of the candidates of a task, oldest first."""
    c = schema.model.c
    return list(conn.scalars(sa.select(c.model_id).where(c.task == task, c.state == "candidate").order_by(c.model_id)))


def newest_model(conn: sa.Connection, task: str) -> ModelRow | None:
    """The newest model of a task, whatever its state, or None."""
    c = schema.model.c
    newest = sa.select(sa.func.max(c.version)).where(c.task == task).scalar_subquery()
    row = conn.execute(sa.select(schema.model).where(c.task == task, c.version == newest)).one_or_none()
    return None if row is None else _model_row(row)


def promote(db: Database, model_id: int, reason: str, also: Callable[[sa.Connection], None] | None = None) -> None:
    """Make a model the champion of its task; the old one retires in the same transaction, which also runs `also`."""
    now = datetime.now(UTC)
    with db.write() as conn:
        row = model_of(conn, model_id)
        if row.state == "champion":
            return
        _retire_champion(conn, row.task, now)
        _decide(conn, model_id, "champion", reason, now)
        if also is not None:
            also(conn)


def refuse(db: Database, model_id: int, reason: str) -> None:
    """Mark a candidate refused, with the reason. Raises ModelError for a champion: only a promotion ends its term."""
    with db.write() as conn:
        if model_of(conn, model_id).state == "champion":
            raise ModelError(f"Model {model_id} is the champion and cannot be refused.", "Promote another model.")
        _decide(conn, model_id, "refused", reason, datetime.now(UTC))


def _retire_champion(conn: sa.Connection, task: str, now: datetime) -> None:
    model = schema.model
    conn.execute(
        sa.update(model)
        .where(model.c.task == task, model.c.state == "champion")
        .values(state="retired", decided_at=now)
    )


def _decide(conn: sa.Connection, model_id: int, state: str, reason: str, now: datetime) -> None:
    model = schema.model
    conn.execute(
        sa.update(model).where(model.c.model_id == model_id).values(state=state, reason=reason[:2000], decided_at=now)
    )


def _model_row(row: sa.Row[Any]) -> ModelRow:
    return ModelRow(
        model_id=int(row.model_id),
        task=row.task,
        version=int(row.version),
        name=row.name,
        parent_id=row.parent_id,
        training_set_id=row.training_set_id,
        checkpoint_uri=row.checkpoint_uri,
        checkpoint_hash=row.checkpoint_hash,
        state=row.state,
        reason=row.reason,
        config=json.loads(row.config),
    )

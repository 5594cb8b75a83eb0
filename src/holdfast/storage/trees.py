"""Open trees: the files that a run, a logged model, a model version or a deployable owns, until it is sealed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Index,
    PrimaryKeyConstraint,
    String,
    Table,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)

from holdfast.chunks import TreeFile, check_path, tree_digest
from holdfast.kernel.errors import Conflict, InvalidInput, NotFound
from holdfast.storage.direct import Direct, Inserts
from holdfast.storage.engine import Tx
from holdfast.storage.locks import lock
from holdfast.storage.scope import ALL_WORKSPACES
from holdfast.storage.tables import metadata

__all__ = [
    "TreeRoots",
    "broken_seals",
    "copy_tree",
    "drop_before",
    "drop_tree",
    "find_file",
    "holds_file",
    "holds_object",
    "list_files",
    "put_file",
    "put_files",
    "remove_below",
    "remove_file",
    "seal",
    "sealed_digest",
]

_SHOWN, _PORTION = 100, 500
_files = Table(
    "tree_file",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("owner_kind", String(32), nullable=False),
    Column("owner_id", String(64), nullable=False),
    Column("path", String(1024), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    PrimaryKeyConstraint("workspace_id", "owner_kind", "owner_id", "path"),
    Index("ix_tree_file_sha256", "sha256"),
)
_seals = Table(
    "tree_seal",
    metadata,
    Column("workspace_id", String(64), nullable=False),
    Column("owner_kind", String(32), nullable=False),
    Column("owner_id", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    PrimaryKeyConstraint("workspace_id", "owner_kind", "owner_id"),
)
_OWN = ("workspace_id", "owner_kind", "owner_id")
_NEW_FILES = Inserts(_files)
# Built once: building a statement takes SQLAlchemy longer than running it.
_OF_OWNER = tuple(_files.c[name] == bindparam(f"own_{name}") for name in _OWN)
_FIND = Direct(
    select(_files.c.path, _files.c.sha256, _files.c.size).where(
        *_OF_OWNER, _files.c.path == bindparam("own_path")
    )
)
_LIST = Direct(
    select(_files.c.path, _files.c.sha256, _files.c.size).where(*_OF_OWNER).order_by(_files.c.path)
)
_IS_THERE = Direct(select(_files.c.path).where(*_OF_OWNER, _files.c.path == bindparam("own_path")).limit(1))
_FIRST_BELOW = Direct(
    select(_files.c.path)
    .where(*_OF_OWNER, _files.c.path >= bindparam("first"), _files.c.path < bindparam("end"))
    .limit(1)
)
_DIGEST = Direct(
    select(_seals.c.digest).where(*(_seals.c[name] == bindparam(f"own_{name}") for name in _OWN))
)


def put_file(
    tx: Tx, workspace: str, owner_kind: str, owner_id: str, path: str, sha256: str, size: int
) -> TreeFile:
    """Add or replace a file of an open tree. Under a seal, identical bytes are accepted and others refused."""
    lock(tx, "tree", workspace, owner_kind, owner_id)
    file = TreeFile(check_path(path), sha256, size)
    old = _find(tx, workspace, owner_kind, owner_id, path)
    if old == file:
        return file
    _refuse_sealed(tx, workspace, owner_kind, owner_id, path)
    if old is None:
        _refuse_folder_clash(tx, workspace, owner_kind, owner_id, path)
        _NEW_FILES.run(tx, [(workspace, owner_kind, owner_id, path, sha256, size)])
    else:
        tx.execute(
            update(_files).where(*_owner(workspace, owner_kind, owner_id), _files.c.path == path)
            .values(sha256=sha256, size=size)
        )  # fmt: skip
    return file


def put_files(tx: Tx, workspace: str, owner_kind: str, owner_id: str, files: Sequence[TreeFile]) -> int:
    """Add or replace many files of an open tree, all or none; how many changed. As `put_file` for each."""
    lock(tx, "tree", workspace, owner_kind, owner_id)
    known = _neighbours(tx, workspace, owner_kind, owner_id, [file.path for file in files])
    changed = [file for file in files if known.get(file.path) != (file.sha256, file.size)]
    if not changed:
        return 0
    _refuse_sealed(tx, workspace, owner_kind, owner_id, changed[0].path)
    _refuse_folder_clashes([*known, *(file.path for file in changed)])
    for file in changed:
        if file.path in known:
            tx.execute(
                update(_files).where(*_owner(workspace, owner_kind, owner_id), _files.c.path == file.path)
                .values(sha256=file.sha256, size=file.size)
            )  # fmt: skip
    _NEW_FILES.run(
        tx,
        [
            (workspace, owner_kind, owner_id, file.path, file.sha256, file.size)
            for file in changed
            if file.path not in known
        ],
    )
    return len(changed)


def _neighbours(
    tx: Tx, workspace: str, owner_kind: str, owner_id: str, paths: Sequence[str]
) -> dict[str, tuple[str, int]]:
    """The files of a tree that files of these paths could replace or clash with: (SHA-256, size) by path.

    Everything from the first path to what lies below the last, and the folders above them: little when many files come
    in the order of their paths, whatever the tree holds besides.
    """
    if not paths:
        return {}
    first, end = min(paths), max(path + "0" for path in paths)  # "0" is what follows "/"
    above = sorted(folder for folder in _folders(paths) if folder < first)
    query = select(_files.c.path, _files.c.sha256, _files.c.size).where(
        *_owner(workspace, owner_kind, owner_id)
    )
    rows = list(tx.execute(query.where(_files.c.path >= first, _files.c.path < end)))
    for start in range(0, len(above), _PORTION):
        rows += tx.execute(query.where(_files.c.path.in_(above[start : start + _PORTION])))
    return {path: (sha256, size) for path, sha256, size in rows}


def remove_file(tx: Tx, workspace: str, owner_kind: str, owner_id: str, path: str) -> None:
    """Take a file out of an open tree. Raises NotFound, or InvalidInput under a seal."""
    _remove(tx, workspace, owner_kind, owner_id, path, _files.c.path == path)


def remove_below(tx: Tx, workspace: str, owner_kind: str, owner_id: str, path: str) -> None:
    """Take a file, or all files below a folder, out of an open tree. Raises as `remove_file`."""
    _remove(tx, workspace, owner_kind, owner_id, path, (_files.c.path == path) | _is_below(path))


def _remove(
    tx: Tx, workspace: str, owner_kind: str, owner_id: str, path: str, chosen: ColumnElement[bool]
) -> None:
    lock(tx, "tree", workspace, owner_kind, owner_id)
    digest = sealed_digest(tx, workspace, owner_kind, owner_id)
    if digest is not None:
        raise InvalidInput(
            f"The {owner_kind.replace('_', ' ')} {owner_id} is sealed; {path!r} can't be deleted."
        )
    gone = tx.execute(delete(_files).where(*_owner(workspace, owner_kind, owner_id), chosen))
    if gone.rowcount == 0:
        raise NotFound(f"There is no file {path!r} in the {owner_kind.replace('_', ' ')} {owner_id}.")


def _is_below(path: str) -> ColumnElement[bool]:
    """Of the paths below a folder: `0` is the character behind `/`."""
    return (_files.c.path >= path + "/") & (_files.c.path < path + "0")


def find_file(tx: Tx, workspace: str, owner_kind: str, owner_id: str, path: str) -> TreeFile:
    """One file of a tree. Raises NotFound naming the path."""
    found = _find(tx, workspace, owner_kind, owner_id, check_path(path))
    if found is None:
        raise NotFound(f"There is no file {path!r} in the {owner_kind.replace('_', ' ')} {owner_id}.")
    return found


def list_files(tx: Tx, workspace: str, owner_kind: str, owner_id: str, folder: str = "") -> list[TreeFile]:
    """The files of a tree, or of a folder of it, by path."""
    if not folder:
        return [TreeFile(*row) for row in _LIST.rows(tx, _own(workspace, owner_kind, owner_id))]
    query = select(_files.c.path, _files.c.sha256, _files.c.size).where(
        *_owner(workspace, owner_kind, owner_id), _is_below(folder)
    )
    return [TreeFile(*row) for row in tx.execute(query.order_by(_files.c.path))]


def seal(tx: Tx, workspace: str, owner_kind: str, owner_id: str, *, may_be_empty: bool = False) -> str:
    """Freeze a tree and give its digest; sealing again gives the same.

    Raises Conflict when it holds no file, unless it may be empty.
    """
    lock(tx, "tree", workspace, owner_kind, owner_id)
    found = sealed_digest(tx, workspace, owner_kind, owner_id)
    if found is not None:
        return found
    files = list_files(tx, workspace, owner_kind, owner_id)
    if not files and not may_be_empty:
        raise Conflict(
            f"The {owner_kind.replace('_', ' ')} {owner_id} holds no file.", hint="Upload its files first."
        )
    digest = tree_digest(files)
    tx.execute(
        insert(_seals).values(workspace_id=workspace, owner_kind=owner_kind, owner_id=owner_id, digest=digest)
    )
    return digest


def sealed_digest(tx: Tx, workspace: str, owner_kind: str, owner_id: str) -> str | None:
    """The digest under which a tree is sealed; None while it is open."""
    rows = _DIGEST.rows(tx, _own(workspace, owner_kind, owner_id))
    return str(rows[0][0]) if rows else None


def broken_seals(tx: Tx) -> Iterator[str]:
    """Every sealed tree of all workspaces whose files do not give the digest that it is sealed under, in words."""
    for seal in tx.execute(select(_seals).execution_options(**ALL_WORKSPACES)).all():
        files = list_files(tx, seal.workspace_id, seal.owner_kind, seal.owner_id)
        if (found := tree_digest(files)) != seal.digest:
            yield (
                f"the {seal.owner_kind.replace('_', ' ')} {seal.workspace_id}/{seal.owner_id} is sealed under "
                f"{seal.digest[:80]}, and its files give {found}"
            )


def copy_tree(
    tx: Tx, workspace: str, source: tuple[str, str], target: tuple[str, str], folder: str = ""
) -> None:
    """Give the empty tree `target` (kind, id) its own rows of all files of the tree `source`, or of a folder of it,
    whose path is then left out of theirs.
    """
    kind, owner = target
    path: ColumnElement[str] = func.substr(_files.c.path, len(folder) + 2) if folder else _files.c.path
    rows = select(
        _files.c.workspace_id, literal(kind), literal(owner), path, _files.c.sha256, _files.c.size
    ).where(*_owner(workspace, *source), *([_is_below(folder)] if folder else []))
    columns = ["workspace_id", "owner_kind", "owner_id", "path", "sha256", "size"]
    tx.execute(insert(_files).from_select(columns, rows))


def drop_tree(tx: Tx, workspace: str, owner_kind: str, owner_id: str) -> None:
    """Take a whole tree away, sealed or not: its owner is gone. The objects go when nothing refers to them."""
    tx.execute(delete(_files).where(*_owner(workspace, owner_kind, owner_id)))
    own = (
        _seals.c.workspace_id == workspace,
        _seals.c.owner_kind == owner_kind,
        _seals.c.owner_id == owner_id,
    )
    tx.execute(delete(_seals).where(*own))


def drop_before(tx: Tx, owner_kind: str, owner_id: str) -> int:
    """Take the unsealed trees of a kind away, in all workspaces, whose ids come before this one: how many files."""
    query = delete(_files).where(_files.c.owner_kind == owner_kind, _files.c.owner_id < owner_id)
    return tx.execute(query.execution_options(**ALL_WORKSPACES)).rowcount


def holds_file(tx: Tx, workspace: str, owner_kind: str, owner_id: str, file: TreeFile) -> bool:
    """Whether the tree holds exactly this file: its path with its bytes."""
    return _find(tx, workspace, owner_kind, owner_id, file.path) == file


def holds_object(tx: Tx, workspace: str, owner_kind: str, sha256: str) -> bool:
    """Whether any tree of this kind in the workspace holds the object."""
    query = select(_files.c.path).where(
        _files.c.sha256 == sha256, _files.c.workspace_id == workspace, _files.c.owner_kind == owner_kind
    )
    return tx.execute(query.limit(1)).one_or_none() is not None


def _find(tx: Tx, workspace: str, owner_kind: str, owner_id: str, path: str) -> TreeFile | None:
    rows = _FIND.rows(tx, {**_own(workspace, owner_kind, owner_id), "own_path": path})
    return TreeFile(*rows[0]) if rows else None


def _own(workspace: str, owner_kind: str, owner_id: str) -> dict[str, str]:
    """The parameters by which the statements above know a tree."""
    return {f"own_{name}": value for name, value in zip(_OWN, (workspace, owner_kind, owner_id), strict=True)}


def _owner(workspace: str, owner_kind: str, owner_id: str) -> tuple[ColumnElement[bool], ...]:
    return (
        _files.c.workspace_id == workspace,
        _files.c.owner_kind == owner_kind,
        _files.c.owner_id == owner_id,
    )


def _refuse_sealed(tx: Tx, workspace: str, owner_kind: str, owner_id: str, path: str) -> None:
    digest = sealed_digest(tx, workspace, owner_kind, owner_id)
    if digest is not None:
        raise InvalidInput(
            f"The {owner_kind.replace('_', ' ')} {owner_id} is sealed under the digest {digest[:12]}; "
            f"{path!r} can't be changed.",
            hint="Log a new one instead.",
        )


def _refuse_folder_clashes(paths: Sequence[str]) -> None:
    """No path may be a folder of another."""
    folders = _folders(paths)
    clash = min((path for path in paths if path in folders), default=None)
    if clash is not None:
        raise _clash(clash, min(path for path in paths if path.startswith(clash + "/")))


def _folders(paths: Sequence[str]) -> set[str]:
    """Every folder that the paths name."""
    folders: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return folders


def _clash(path: str, other: str) -> InvalidInput:
    return InvalidInput(f"The path {path!r} clashes with the file {other!r}: one of them would be a folder.")


def _refuse_folder_clash(tx: Tx, workspace: str, owner_kind: str, owner_id: str, path: str) -> None:
    """A path can't be a file and a folder in one tree."""
    own = _own(workspace, owner_kind, owner_id)
    found = _FIRST_BELOW.rows(tx, {**own, "first": path + "/", "end": path + "0"})
    for folder in sorted(_folders([path])):
        found += _IS_THERE.rows(tx, {**own, "own_path": folder})
    if found:
        raise _clash(path, found[0][0])


class TreeRoots:
    """What the trees of all rooms refer to, for the collection of garbage."""

    def referred(self, tx: Tx, digests: Sequence[str]) -> set[str]:
        """Those of the digests that a file of any tree has."""
        query = select(_files.c.sha256).where(_files.c.sha256.in_(digests)).distinct()
        return set(tx.execute(query.execution_options(**ALL_WORKSPACES)).scalars())

    def referrers(self, tx: Tx, digest: str) -> list[str]:
        """`run 01ab: model.pkl` and so on, the first hundred."""
        query = select(_files.c.owner_kind, _files.c.owner_id, _files.c.path).where(_files.c.sha256 == digest)
        query = query.order_by(_files.c.owner_kind, _files.c.owner_id, _files.c.path).limit(_SHOWN)
        rows = tx.execute(query.execution_options(**ALL_WORKSPACES))
        return [f"{kind.replace('_', ' ')} {owner}: {path}" for kind, owner, path in rows]

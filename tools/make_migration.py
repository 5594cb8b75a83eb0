"""Write the next migration from the difference between the tables and the last revision.

python tools/make_migration.py NUMBER NAME       for example: 0002 add_comments
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

import holdfast.app.compose  # noqa: F401 - declares every room's tables
from holdfast.storage import metadata

ROOT = Path(__file__).resolve().parents[1] / "src/holdfast/storage/migrations"
TEMPLATE = '''"""{title}"""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {down}
branch_labels = None
depends_on = None


def upgrade() -> None:
    {body}


def downgrade() -> None:
    raise RuntimeError("Going back is done by restoring a backup.")
'''


def main(revision: str, name: str) -> None:
    """Compare and write."""
    before = sorted(
        path.name[:4] for path in (ROOT / "versions").glob("[0-9]*.py") if path.name[:4] < revision
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "old.db"
        if before:
            config = Config()
            config.set_main_option("script_location", str(ROOT))
            config.attributes["path"] = path
            command.upgrade(config, before[-1])
        engine = create_engine(f"sqlite:///{path}")
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"render_as_batch": True})
            steps = produce_migrations(context, metadata).upgrade_ops
            assert steps is not None
            body = render_python_code(steps, render_as_batch=False)
        engine.dispose()
    lines = [line for line in body.splitlines() if "# ###" not in line]
    body = "\n".join(lines).strip()
    target = ROOT / "versions" / f"{revision}_{name}.py"
    down = f'"{before[-1]}"' if before else "None"
    target.write_text(TEMPLATE.format(title=name.replace("_", " "), revision=revision, down=down, body=body))
    print(target)


if __name__ == "__main__":
    main(*sys.argv[1:])

import os

from alembic import context
from sqlalchemy import create_engine

driver = os.environ.get("DRIVER", "psycopg")
url = os.environ["DATABASE_URL"].replace("postgresql://", f"postgresql+{driver}://", 1)
url = context.config.get_main_option("sqlalchemy.url") or url

with create_engine(url).connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=None,
        transaction_per_migration=bool(os.environ.get("EACH")),
    )
    with context.begin_transaction():
        context.run_migrations()

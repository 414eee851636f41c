"""Django's foreign keys are checked at the COMMIT: a migration of its that changes rows and then the same table goes there and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Database
from .test_tools import ok, plain, state, unlike
from .tools import Django

pytestmark = pytest.mark.slow

__all__ = ["plain"]

HEAD = """
import django.db.models.deletion
from django.db import migrations, models


def to_ann(apps, schema_editor):
    orders = apps.get_model("shop", "Order")
    ann = apps.get_model("shop", "Customer").objects.get(email="ann@x")
    for order in orders.objects.all():
        order.customer = ann
        order.save()
    orders.objects.create(customer=ann, total=3)
    apps.get_model("shop", "CouponLog").objects.filter(code="OLD").delete()


class Migration(migrations.Migration):
    dependencies = [("shop", "0002_orders")]
    operations = [
        migrations.RunPython(to_ann, migrations.RunPython.noop),
        migrations.RunSQL("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED"),
        {operations}
    ]
"""
# Where Django changes rows itself, or drops a foreign key, it says SET CONSTRAINTS … IMMEDIATE itself.
OPERATIONS = """
        migrations.AlterField("order", "total", models.DecimalField(decimal_places=3, max_digits=12)),
        migrations.AlterField("order", "customer", models.ForeignKey(
            null=True, on_delete=django.db.models.deletion.SET_NULL, to="shop.customer")),
        migrations.AlterField("order", "customer", models.BigIntegerField(null=True)),
        migrations.RenameField("order", "customer", "buyer"),
        migrations.AlterField("couponlog", "order", models.ForeignKey(
            default=1, on_delete=django.db.models.deletion.CASCADE, to="shop.order")),
        migrations.AddField("couponlog", "given_to", models.ForeignKey(
            default=2, on_delete=django.db.models.deletion.CASCADE, to="shop.customer")),
        migrations.RemoveField("order", "status"),
"""


# One version: what differs between versions is tested kind by kind.
@pytest.mark.parametrize("server", [15], indirect=True)
def test_rows_and_their_table_are_changed_in_one_transaction(
    tmp_path: Path, database: Database, plain: Database
) -> None:
    tool = Django(tmp_path)
    tool.lay(2)
    for one in (plain, database):
        ok(tool.plain(one.url))
        one.connect().execute(tool.seeds)
    before = state(database)
    (tmp_path / "shop/migrations/0003_deferred.py").write_text(HEAD.format(operations=OPERATIONS.strip()))
    ok(tool.plain(plain.url))

    said = ok(tool.through(database.url, "--fill", "orders.status='new'", "--fill", "orders.buyer=1"))
    assert "can be taken back" in said
    after = state(database)
    assert unlike(state(plain), after, tool.clocks) == []

    for _ in range(2):
        ok(tool.backout(database.url, "db", "rollback", "--yes"))
        assert unlike(before, state(database)) == []
        assert "[ ] 0003_deferred" in ok(tool.plain(database.url, *tool.argv()[:2], "showmigrations"))
        ok(tool.backout(database.url, "db", "redo", "--yes"))
        assert unlike(after, state(database)) == []
        assert "No migrations to apply" in ok(tool.plain(database.url))

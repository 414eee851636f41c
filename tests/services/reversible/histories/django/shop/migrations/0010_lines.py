from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("shop", "0009_items")]

    operations = [
        migrations.RenameModel(old_name="Item", new_name="OrderLine"),
        migrations.AlterModelTable(name="orderline", table="order_lines"),
    ]

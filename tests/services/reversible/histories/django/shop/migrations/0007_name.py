from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("shop", "0006_required")]

    operations = [
        migrations.RenameField(model_name="customer", old_name="full_name", new_name="name"),
        migrations.RenameIndex(
            model_name="order", old_name="orders_customer_status", new_name="orders_by_customer"
        ),
    ]

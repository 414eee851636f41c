from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0003_columns")]

    operations = [
        migrations.AddField(
            model_name="order", name="number", field=models.CharField(max_length=20, null=True)
        ),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.UniqueConstraint(fields=("number",), name="orders_number_unique"),
        ),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.CheckConstraint(
                condition=models.Q(("total__gte", 0)), name="orders_total_positive"
            ),
        ),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(fields=["customer", "status"], name="orders_customer_status"),
        ),
    ]

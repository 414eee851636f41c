from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0005_backfill")]

    operations = [
        migrations.AlterField(
            model_name="customer", name="country", field=models.CharField(default="de", max_length=2)
        ),
        migrations.AlterField(
            model_name="order",
            name="status",
            field=models.CharField(
                choices=[("new", "New"), ("paid", "Paid"), ("packed", "Packed")], default="new", max_length=10
            ),
        ),
    ]

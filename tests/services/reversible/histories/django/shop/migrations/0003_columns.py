from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0002_orders")]

    operations = [
        migrations.AddField(
            model_name="customer", name="newsletter", field=models.BooleanField(default=False)
        ),
        migrations.AddField(
            model_name="customer",
            name="country",
            field=models.CharField(db_default="de", max_length=2, null=True),
        ),
        migrations.AddField(model_name="order", name="note", field=models.JSONField(blank=True, null=True)),
    ]

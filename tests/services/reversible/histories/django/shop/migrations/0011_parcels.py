from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0010_lines")]

    operations = [
        migrations.CreateModel(
            name="Parcel",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("carrier", models.CharField(max_length=10)),
                ("orders", models.ManyToManyField(to="shop.order")),
            ],
            options={"db_table": "parcels"},
        ),
    ]

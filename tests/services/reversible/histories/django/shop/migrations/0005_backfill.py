from django.db import migrations


def fill(apps, schema_editor):
    orders = apps.get_model("shop", "Order")
    for order in orders.objects.filter(number=None):
        order.number = f"A-{order.pk}"
        order.save(update_fields=["number"])
    customers = apps.get_model("shop", "Customer")
    customers.objects.filter(country=None).update(country="de")
    made = customers.objects.create(email="shop@example.com", full_name="The shop", newsletter=True)
    customers.objects.filter(pk=made.pk).update(created_at="2026-01-01T00:00:00Z")
    orders.objects.create(customer=made, total=1, number="A-0")
    apps.get_model("shop", "CouponLog").objects.filter(code="OLD").delete()


class Migration(migrations.Migration):
    dependencies = [("shop", "0004_numbers")]

    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]

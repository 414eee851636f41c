UPDATE orders SET total_cents = round(total * 100) WHERE total_cents IS NULL;

UPDATE orders SET total_cents = round(total * 100);

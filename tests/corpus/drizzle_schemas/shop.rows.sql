INSERT INTO customers (email, first_name, last_name, country, born, created_at) VALUES
  ('ann@x', 'Ann', 'Lee', 'de', '1990-01-02', '2026-01-01'), ('bob@x', '', NULL, 'tr', NULL, '2026-01-02'), ('cem@x', 'Cem', 'Can', 'kr', 'unknown', '2026-01-03');
INSERT INTO orders (customer_id, status, total, number, placed_at)
  SELECT id, s, t, 'N-' || email, '2026-01-03' FROM customers,
    LATERAL (VALUES (CASE WHEN email = 'ann@x' THEN 'packed' ELSE 'new' END::order_status, length(email) * 1.25)) AS v (s, t);
INSERT INTO products (id, sku, title, stock, weight, tags, attributes) VALUES
  ('00000000-0000-0000-0000-00000000000a', 'A', 'Bulb', 3, 0.1, '{lamp,"two words"}', '{"colour": "red"}'), ('00000000-0000-0000-0000-00000000000b', 'B', 'Böhm', 0, NULL, NULL, NULL);
INSERT INTO order_lines (order_id, product_id, quantity)
  SELECT orders.id, products.id, orders.id % 2 FROM orders, products WHERE number LIKE 'N-%'

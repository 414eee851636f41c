CREATE EXTENSION IF NOT EXISTS pg_trgm;
--> statement-breakpoint
CREATE INDEX products_name_trgm ON products USING gin (name gin_trgm_ops);
--> statement-breakpoint
DROP VIEW open_orders;
--> statement-breakpoint
ALTER INDEX customers_country_created_idx RENAME TO customers_by_country;
--> statement-breakpoint
DELETE FROM carts WHERE customer_id NOT IN (SELECT id FROM customers);

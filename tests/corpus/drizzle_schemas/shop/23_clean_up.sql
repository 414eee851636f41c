DELETE FROM order_lines WHERE quantity <= 0;
--> statement-breakpoint
UPDATE orders SET placed_at = NULL WHERE status = 'new';
--> statement-breakpoint
CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW IS DISTINCT FROM OLD THEN
    NEW.updated_at = clock_timestamp();
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
DO $$
BEGIN
  UPDATE products SET tags = ARRAY['untagged'] WHERE tags IS NULL;
END $$;

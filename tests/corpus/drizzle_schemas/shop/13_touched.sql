CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at = now();
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER customers_touched BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION touch();
--> statement-breakpoint
COMMENT ON COLUMN customers.updated_at IS 'set by a trigger';

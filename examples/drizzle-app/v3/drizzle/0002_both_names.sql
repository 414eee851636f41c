-- Release 1 writes full_name, release 2 name: whichever is written, the other becomes the same.
CREATE FUNCTION both_names() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    NEW.name := coalesce(NEW.name, NEW.full_name);
    NEW.full_name := NEW.name;
  ELSIF NEW.name IS DISTINCT FROM OLD.name THEN
    NEW.full_name := NEW.name;
  ELSE
    NEW.name := NEW.full_name;
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
UPDATE customers SET name = full_name;
--> statement-breakpoint
UPDATE orders SET reference = 'A-' || id;
--> statement-breakpoint
CREATE TRIGGER both_names BEFORE INSERT OR UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION both_names();

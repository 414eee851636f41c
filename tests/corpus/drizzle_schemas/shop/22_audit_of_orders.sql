CREATE FUNCTION audit.note_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO audit.events (about, what) VALUES ('order ' || NEW.id, to_jsonb(NEW));
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER orders_noted AFTER INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION audit.note_order();
--> statement-breakpoint
CREATE VIEW open_orders AS SELECT id, customer_id, status, total_cents FROM orders WHERE status <> 'sent';

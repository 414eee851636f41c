DROP TRIGGER orders_noted ON orders;
--> statement-breakpoint
DROP FUNCTION audit.note_order();

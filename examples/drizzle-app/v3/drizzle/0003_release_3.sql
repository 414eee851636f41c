-- Written by drizzle-kit; the UPDATE, and what only release 1 needed, by hand.
UPDATE orders SET reference = 'A-' || id WHERE reference IS NULL;
--> statement-breakpoint
ALTER TABLE "customers" ALTER COLUMN "name" SET NOT NULL;--> statement-breakpoint
ALTER TABLE "orders" ALTER COLUMN "reference" SET NOT NULL;--> statement-breakpoint
ALTER TABLE "orders" ADD COLUMN "paid_at" timestamp with time zone;--> statement-breakpoint
DROP TRIGGER both_names ON customers;--> statement-breakpoint
DROP FUNCTION both_names();--> statement-breakpoint
-- backout: back customers.full_name = name
ALTER TABLE customers DROP COLUMN full_name;--> statement-breakpoint
ALTER TABLE orders DROP COLUMN note;--> statement-breakpoint
DROP TABLE visits;

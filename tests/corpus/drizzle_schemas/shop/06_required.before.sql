UPDATE "orders" SET "number" = 'B-' || "id" WHERE "number" IS NULL;--> statement-breakpoint
UPDATE "customers" SET "country" = 'de' WHERE "country" IS NULL;

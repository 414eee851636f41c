-- Custom SQL migration file, put your code below! --
UPDATE "orders" SET "number" = 'A-' || "id" WHERE "number" IS NULL;--> statement-breakpoint
UPDATE "customers" SET "country" = 'de' WHERE "country" IS NULL;--> statement-breakpoint
INSERT INTO "customers" ("email", "full_name", "created_at") VALUES ('shop@example.com', 'The shop', '2026-01-01');--> statement-breakpoint
DELETE FROM "coupon_log" WHERE "code" = 'OLD';

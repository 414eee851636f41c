UPDATE "orders" SET "number" = 'A-' || "id" WHERE "number" IS NULL;--> statement-breakpoint
UPDATE "customers" SET "country" = lower(coalesce("country", 'de'));--> statement-breakpoint
INSERT INTO "customers" ("email", "full_name", "created_at") VALUES ('shop@example.com', 'The shop', '2026-01-01') ON CONFLICT ("email") DO NOTHING;--> statement-breakpoint
DELETE FROM "coupon_log" WHERE "order_id" IS NULL;

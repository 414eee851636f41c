ALTER TABLE "customers" ADD COLUMN "newsletter" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "customers" ADD COLUMN "country" text DEFAULT 'de';--> statement-breakpoint
ALTER TABLE "orders" ADD COLUMN "note" text;
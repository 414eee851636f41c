ALTER TABLE "customers" ALTER COLUMN "newsletter" SET DEFAULT true;--> statement-breakpoint
ALTER TABLE "customers" ALTER COLUMN "country" DROP DEFAULT;--> statement-breakpoint
ALTER TABLE "customers" ALTER COLUMN "country" SET NOT NULL;
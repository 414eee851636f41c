ALTER TABLE "items" RENAME TO "order_lines";--> statement-breakpoint
ALTER TABLE "order_lines" DROP CONSTRAINT "items_order_id_orders_id_fk";
--> statement-breakpoint
ALTER TABLE "order_lines" ADD CONSTRAINT "order_lines_order_id_orders_id_fk" FOREIGN KEY ("order_id") REFERENCES "public"."orders"("id") ON DELETE no action ON UPDATE no action;
// A shop, which any drizzle-kit since 0.20 reads.
//
// A line that ends in `//@ 3-7`, with what is indented below it, is there from step 3 to step 7. A step with a file of
// its name in shop/ is a migration of custom SQL; the others are what drizzle-kit makes of the change. Behind a colon:
// the answers to its questions about renames, which is what there was before.
//
//@ 1 init
//@ 2 catalogue
//@ 3 columns
//@ 4 numbers
//@ 5 backfill
//@ 6 required
//@ 7 name: customers.name = full_name
//@ 8 types
//@ 9 note
//@ 10 restrict
//@ 11 without_coupons
//@ 12 lines: order_lines = order_items
//@ 13 touched
//@ 14 split
//@ 15 split_backfill
//@ 16 split_done
//@ 17 checks
//@ 18 cents
//@ 19 cents_backfill
//@ 20 cents_done
//@ 21 audit
//@ 22 audit_of_orders
//@ 23 clean_up
//@ 24 reviews
//@ 25 reviews_unlike
//@ 26 carts
//@ 27 carts_by_number
//@ 28 replaced: products.name = title
//@ 29 statuses
//@ 30 audit_ends
//@ 31 without_audit
//@ 32 references: orders.reference = number
//@ 33 search
//@ 34 untagged

import { sql } from "drizzle-orm";
import {
  bigint, bigserial, boolean, check, date, doublePrecision, index, integer, json, jsonb, numeric, pgEnum, pgSchema, pgTable,
  primaryKey, serial, smallint, text, timestamp, unique, uniqueIndex, uuid, varchar,
} from "drizzle-orm/pg-core";

export const orderStatus = pgEnum("order_status", ["new", "paid", "sent"]); //@ -3
export const orderStatus = pgEnum("order_status", ["new", "paid", "packed", "sent"]); //@ 4-28
export const orderStatus = pgEnum("order_status", ["new", "paid", "packed", "sent", "returned", "lost"]); //@ 29-
export const currency = pgEnum("currency", ["EUR", "USD", "JPY"]); //@ 2-

export const customers = pgTable("customers", {
  id: serial("id").primaryKey(),
  email: text("email").notNull().unique(),
  fullName: text("full_name"), //@ -6
  name: text("name"), //@ 7-15
  firstName: text("first_name"), //@ 14-15
  firstName: text("first_name").notNull(), //@ 16-
  lastName: text("last_name"), //@ 14-
  newsletter: boolean("newsletter").notNull().default(false), //@ 3-5
  newsletter: boolean("newsletter").notNull().default(true), //@ 6-
  country: text("country").default("de"), //@ 3-5
  country: text("country").notNull(), //@ 6-7
  country: varchar("country", { length: 60 }).notNull(), //@ 8-
  born: text("born"), //@ 3-17
  bornOn: date("born_on"), //@ 18-
  phone: text("phone"), //@ 32-
  createdAt: timestamp("created_at", { withTimezone: true }).notNull().defaultNow(),
  updatedAt: timestamp("updated_at").notNull().defaultNow(), //@ 3-7
  updatedAt: timestamp("updated_at", { withTimezone: true }).notNull().defaultNow(), //@ 8-
}, (t) => ({
  byCountry: index("customers_country_idx").on(t.country), //@ 3-8
  byCountry: index("customers_country_created_idx").on(t.country, t.createdAt), //@ 9-
}));

export const orders = pgTable("orders", {
  id: serial("id").primaryKey(),
  customerId: integer("customer_id").notNull().references(() => customers.id, { onDelete: "cascade" }), //@ -9
  customerId: integer("customer_id").notNull().references(() => customers.id, { onDelete: "restrict" }), //@ 10-
  status: orderStatus("status").notNull().default("new"),
  total: numeric("total", { precision: 10, scale: 2 }).notNull(), //@ -19
  totalCents: bigint("total_cents", { mode: "number" }), //@ 18-19
  totalCents: bigint("total_cents", { mode: "number" }).notNull(), //@ 20-
  currency: currency("currency").notNull().default("EUR"), //@ 18-
  note: text("note"), //@ 3-8
  number: text("number"), //@ 4-5
  number: text("number").notNull(), //@ 6-31
  reference: text("reference").notNull(), //@ 32-
  placedAt: timestamp("placed_at", { withTimezone: true }).defaultNow(), //@ -16
  placedAt: timestamp("placed_at", { withTimezone: true }), //@ 17-
}, (t) => ({
  byCustomer: index("orders_customer_idx").on(t.customerId),
  byNumber: uniqueIndex("orders_number_idx").on(t.number), //@ 4-31
  byReference: uniqueIndex("orders_reference_idx").on(t.reference), //@ 32-
  positive: check("orders_total_positive", sql`total >= 0`), //@ 17-19
  positive: check("orders_total_cents_positive", sql`total_cents >= 0`), //@ 20-
}));

export const couponLog = pgTable("coupon_log", { //@ -10
  id: serial("id").primaryKey(),
  code: text("code").notNull(),
  orderId: integer("order_id").references(() => orders.id),
});

export const products = pgTable("products", { //@ 2-
  id: uuid("id").primaryKey().defaultRandom(),
  sku: varchar("sku", { length: 32 }).notNull(), //@ -7
  sku: text("sku").notNull(), //@ 8-
  title: text("title").notNull(), //@ -27
  name: text("name").notNull(), //@ 28-
  stock: smallint("stock").notNull().default(0), //@ -7
  stock: integer("stock").notNull().default(0), //@ 8-
  weight: doublePrecision("weight"), //@ -7
  weight: numeric("weight"), //@ 8-
  tags: text("tags").array(), //@ -33
  attributes: json("attributes").$type<Record<string, string>>(), //@ -7
  attributes: jsonb("attributes").$type<Record<string, string>>(), //@ 8-27
  attributes: jsonb("attributes").$type<Record<string, string>>().notNull().default({}), //@ 28-
}, (t) => ({
  bySku: unique("products_sku_key").on(t.sku), //@ -27
  bySku: unique("products_sku_name_key").on(t.sku, t.name), //@ 28-
}));

export const orderItems = pgTable("order_items", { //@ 2-11
  orderId: integer("order_id").notNull().references(() => orders.id, { onDelete: "cascade" }),
  productId: uuid("product_id").notNull().references(() => products.id),
  quantity: integer("quantity").notNull().default(1),
}, (t) => ({
  key: primaryKey({ name: "order_items_key", columns: [t.orderId, t.productId] }),
}));

export const orderLines = pgTable("order_lines", { //@ 12-
  orderId: integer("order_id").notNull().references(() => orders.id, { onDelete: "cascade" }),
  productId: uuid("product_id").notNull().references(() => products.id),
  quantity: integer("quantity").notNull().default(1),
  gift: boolean("gift"), //@ 32-
}, (t) => ({
  key: primaryKey({ name: "order_items_key", columns: [t.orderId, t.productId] }),
}));

export const audit = pgSchema("audit"); //@ 21-30

export const events = audit.table("events", { //@ 21-30
  id: bigserial("id", { mode: "number" }).primaryKey(),
  about: text("about").notNull(),
  what: jsonb("what").notNull(),
  at: timestamp("at", { withTimezone: true }).notNull().defaultNow(),
});

export const reviews = pgTable("reviews", { //@ 24-
  id: serial("id").primaryKey(),
  productId: uuid("product_id").notNull().references(() => products.id, { onDelete: "cascade" }),
  customerId: integer("customer_id").references(() => customers.id, { onDelete: "set null" }),
  stars: smallint("stars").notNull().default(5), //@ -31
  stars: smallint("stars").notNull(), //@ 32-
  body: text("body").notNull(), //@ -24
  body: text("body"), //@ 25-
}, (t) => ({
  once: unique("reviews_once").on(t.productId, t.customerId), //@ -24
  once: unique("reviews_once").on(t.productId, t.customerId).nullsNotDistinct(), //@ 25-31
}));

export const carts = pgTable("carts", { //@ 26-
  customerId: integer("customer_id").notNull(), //@ -26
  customerId: integer("customer_id").primaryKey(), //@ 27-
  content: jsonb("content").notNull(),
});

export const parcels = pgTable("parcels", { //@ 32-
  id: serial("id").primaryKey(),
  orderId: integer("order_id").notNull().references(() => orders.id),
  carrier: text("carrier").notNull(),
});

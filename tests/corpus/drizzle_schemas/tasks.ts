// A list of tasks, with what only the newest versions of drizzle-kit do as PostgreSQL wants it: values taken out of
// enums that columns have defaults of. How to read it: see shop.ts.
//
//@ 1 init
//@ 2 without_blocked
//@ 3 moods
//@ 4 moods_fewer
//@ 5 text_again
//@ 6 enum_again
//@ 7 by_uuid
//@ 8 public_only
//@ 9 wide

import { sql } from "drizzle-orm";
import {
  bigint, char, doublePrecision, foreignKey, index, inet, integer, interval, pgEnum, pgTable, pgView, serial, text, timestamp, uuid,
} from "drizzle-orm/pg-core";

export const state = pgEnum("state", ["todo", "doing", "blocked", "done"]); //@ -1
export const state = pgEnum("state", ["todo", "doing", "done"]); //@ 2-
export const mood = pgEnum("mood", ["good", "bad", "none"]); //@ 3-3
export const mood = pgEnum("mood", ["good", "bad"]); //@ 4-

export const tasks = pgTable("tasks", {
  id: serial("id").primaryKey(),
  key: uuid("key").defaultRandom(), //@ 7-
  parentId: integer("parent_id"), //@ 3-
  title: text("title").notNull(),
  state: state("state").notNull().default("todo"), //@ -4
  state: text("state").notNull().default("todo"), //@ 5-5
  state: state("state").notNull().default("todo"), //@ 6-
  moods: mood("moods").array().notNull().default(["none"]), //@ 3-3
  moods: mood("moods").array().notNull().default([]), //@ 4-
  takes: interval("takes"),
  from: inet("from_address"), //@ 3-
  hours: integer("hours").notNull().default(1), //@ -8
  hours: doublePrecision("hours").notNull().default(1.5), //@ 9-
  code: char("code", { length: 4 }), //@ -8
  code: char("code", { length: 8 }), //@ 9-
  at: timestamp("at", { precision: 3, mode: "string" }).notNull().default(sql`CURRENT_TIMESTAMP`),
}, (t) => ({
  parent: foreignKey({ name: "tasks_parent", columns: [t.parentId], foreignColumns: [t.id] }).onDelete("cascade"), //@ 3-
  newest: index("tasks_newest_idx").on(t.at.desc().nullsLast()), //@ 2-8
  newest: index("tasks_newest_idx").using("brin", t.at), //@ 9-
}));

export const finished = pgView("finished").with({ securityInvoker: true }).as((q) => q.select({ id: tasks.id, title: tasks.title }).from(tasks)); //@ 8-8
export const finished = pgView("finished").as((q) => q.select({ id: tasks.id, title: tasks.title }).from(tasks)); //@ 9-

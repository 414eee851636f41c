// A help desk, with what drizzle-kit knows since 0.28: identities, sequences, policies, views, generated columns.
// How to read it: see shop.ts.
//
//@ 1 init
//@ 2 messages
//@ 3 numbers
//@ 4 policies
//@ 5 searchable
//@ 6 views
//@ 7 backfill
//@ 8 checks
//@ 9 views_again
//@ 10 without_waiting
//@ 11 policies_again
//@ 12 cases: case_status = ticket_status
//@ 13 archive: archive.notes = notes
//@ 14 archive_filled
//@ 15 sequences
//@ 16 identities
//@ 17 teams
//@ 18 teams_filled
//@ 19 teams_required
//@ 20 lists
//@ 21 by_person
//@ 22 procedure
//@ 23 swap: tickets.title = subject
//@ 24 proven_later
//@ 25 proven
//@ 26 closed
//@ 27 without_views
//@ 28 cascades
//@ 29 renamed
//@ 30 open_again
//@ 31 people_free
//@ 32 people_gone

import { eq, ne, sql } from "drizzle-orm";
import {
  bigint, boolean, check, date, index, integer, jsonb, pgEnum, pgMaterializedView, pgPolicy, pgSchema, pgSequence, pgTable,
  pgView, primaryKey, smallint, text, time, timestamp, unique, uniqueIndex, uuid,
} from "drizzle-orm/pg-core";

export const ticketStatus = pgEnum("ticket_status", ["open", "waiting", "closed"]); //@ -9
export const ticketStatus = pgEnum("ticket_status", ["open", "closed"]); //@ 10-11
export const ticketStatus = pgEnum("case_status", ["open", "closed"]); //@ 12-
export const numbers = pgSequence("ticket_numbers", { startWith: 1000, increment: 1 }); //@ 3-14
export const numbers = pgSequence("ticket_numbers", { startWith: 1000, increment: 10, cache: 5 }); //@ 15-22

export const companies = pgTable("companies", {
  id: integer("id").primaryKey().generatedAlwaysAsIdentity(),
  name: text("name").notNull(),
  domain: text("domain").unique(),
  since: date("since"), //@ 8-
});

export const people = pgTable("people", { //@ -31
  id: integer("id").primaryKey().generatedAlwaysAsIdentity(), //@ -15
  id: integer("id").primaryKey().generatedByDefaultAsIdentity({ startWith: 100 }), //@ 16-
  companyId: integer("company_id").references(() => companies.id, { onDelete: "set null" }),
  name: text("name").notNull(),
  email: text("email").notNull(),
  phones: text("phones").array().notNull().default(sql`'{}'::text[]`), //@ 20-
  works: jsonb("works").notNull().default({ from: 9, to: 17 }), //@ 20-
}, (t) => ({
  byEmail: uniqueIndex("people_email_idx").on(sql`lower(${t.email})`),
}));

export const tickets = pgTable("tickets", {
  id: integer("id").primaryKey().generatedAlwaysAsIdentity(),
  personId: integer("person_id").notNull().references(() => people.id), //@ -27
  personId: integer("person_id").notNull().references(() => people.id, { onDelete: "cascade", onUpdate: "cascade" }), //@ 28-30
  personId: integer("person_id"), //@ 31-
  number: bigint("number", { mode: "number" }).default(sql`nextval('ticket_numbers')`), //@ 3-22
  teamId: integer("team_id"), //@ 17-18
  teamId: integer("team_id").notNull(), //@ 19-
  subject: text("subject").notNull(), //@ -22
  title: text("title").notNull(), //@ 23-
  status: ticketStatus("status").notNull().default("open"), //@ -8
  status: ticketStatus("status").notNull(), //@ 9-10
  status: ticketStatus("status").notNull().default("open"), //@ 11-25
  closed: boolean("closed").notNull().default(false), //@ 26-
  priority: smallint("priority").notNull().default(3), //@ 8-
  words: text("words").generatedAlwaysAs(sql`lower(subject)`), //@ 5-22
  kind: text("kind"), //@ 3-5
  kind: text("kind").default("question"), //@ 6-
  openedAt: timestamp("opened_at", { withTimezone: true, precision: 3 }).notNull().defaultNow(),
  dueAt: time("due_at"), //@ 8-22
}, (t) => ({
  byPerson: index("tickets_person_idx").on(t.personId),
  byStatus: index("tickets_open_idx").on(t.status).where(sql`status = 'open'`), //@ -8
  byWords: index("tickets_words_idx").on(t.words), //@ 5-20
  sane: check("tickets_priority_sane", sql`priority BETWEEN 1 AND 5`), //@ 8-
}));

export const notes = pgTable("notes", { //@ -12
  id: integer("id").primaryKey().generatedAlwaysAsIdentity(),
  about: text("about").notNull(),
});

export const archive = pgSchema("archive"); //@ 13-

export const notes = archive.table("notes", { //@ 13-
  id: integer("id").primaryKey().generatedAlwaysAsIdentity(),
  about: text("about").notNull(),
});

export const messages = pgTable("messages", { //@ 2-
  id: bigint("id", { mode: "number" }).primaryKey().generatedByDefaultAsIdentity(), //@ -15
  id: bigint("id", { mode: "number" }).primaryKey(), //@ 16-
  ticketId: integer("ticket_id").notNull().references(() => tickets.id, { onDelete: "cascade" }),
  token: uuid("token").notNull().defaultRandom(),
  body: text("body").notNull(),
  internal: boolean("internal").notNull().default(false),
}, (t) => ({
  byToken: unique("messages_token").on(t.token), //@ -20
  shown: pgPolicy("messages_shown", { for: "select", to: "public", using: sql`NOT internal` }), //@ 4-10
  shown: pgPolicy("messages_shown", { for: "select", to: "public", using: sql`true` }), //@ 11-29
  written: pgPolicy("messages_written", { for: "insert", to: "public", withCheck: sql`body <> ''` }), //@ 11-29
}));

export const teams = pgTable("teams", { //@ 17-
  id: integer("id").primaryKey().generatedByDefaultAsIdentity(),
  name: text("name").notNull().unique(),
});

export const watchers = pgTable("watchers", { //@ 20-
  ticketId: integer("ticket_id").notNull().references(() => tickets.id, { onDelete: "cascade" }),
  who: text("who").notNull(),
  since: timestamp("since").notNull().defaultNow(), //@ 21-
}, (t) => ({
  key: primaryKey({ name: "watchers_key", columns: [t.ticketId, t.who] }), //@ 21-
}));

export const openTickets = pgView("open_tickets").as((q) => q.select({ id: tickets.id, subject: tickets.subject }).from(tickets).where(eq(tickets.status, "open"))); //@ 6-8
export const openTickets = pgView("open_tickets").as((q) => q.select({ id: tickets.id, subject: tickets.subject, priority: tickets.priority }).from(tickets).where(ne(tickets.status, "closed"))); //@ 9-9
export const openTickets = pgView("open_tickets").as((q) => q.select({ id: tickets.id, priority: tickets.priority }).from(tickets)); //@ 10-25
export const counted = pgMaterializedView("tickets_counted").as((q) => q.select({ personId: tickets.personId, many: sql<number>`count(*)`.as("many") }).from(tickets).groupBy(tickets.personId)); //@ 6-26

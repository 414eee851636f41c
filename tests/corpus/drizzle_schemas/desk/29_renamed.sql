ALTER TRIGGER tickets_watched ON tickets RENAME TO tickets_seen;
--> statement-breakpoint
ALTER FUNCTION watch() RENAME TO watched;
--> statement-breakpoint
ALTER TABLE tickets RENAME CONSTRAINT tickets_title_said TO tickets_titled;
--> statement-breakpoint
ALTER INDEX tickets_person_idx RENAME TO tickets_of_person;
--> statement-breakpoint
ALTER INDEX tickets_of_person RENAME TO tickets_person_idx;
--> statement-breakpoint
DROP PROCEDURE escalate(integer);
--> statement-breakpoint
ALTER TABLE archive.old_messages ADD PRIMARY KEY (id);

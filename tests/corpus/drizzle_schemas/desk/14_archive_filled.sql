CREATE TABLE archive.old_messages AS SELECT id, ticket_id, body FROM messages WHERE internal;
--> statement-breakpoint
INSERT INTO archive.notes (about) SELECT 'ticket ' || id FROM tickets WHERE status = 'closed';
--> statement-breakpoint
DELETE FROM messages USING tickets WHERE tickets.id = messages.ticket_id AND tickets.status = 'closed' AND messages.internal;
--> statement-breakpoint
COMMENT ON TABLE archive.notes IS 'what was said of closed tickets';

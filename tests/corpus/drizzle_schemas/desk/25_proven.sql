UPDATE tickets SET title = '(none)' WHERE title = '';
--> statement-breakpoint
UPDATE tickets SET team_id = (SELECT min(id) FROM teams) WHERE NOT EXISTS (SELECT FROM teams WHERE teams.id = team_id);
--> statement-breakpoint
ALTER TABLE tickets VALIDATE CONSTRAINT tickets_team_id_teams_id_fk;
--> statement-breakpoint
ALTER TABLE tickets VALIDATE CONSTRAINT tickets_title_said;
--> statement-breakpoint
ALTER TABLE tickets DISABLE TRIGGER tickets_watched;
--> statement-breakpoint
DELETE FROM watchers WHERE who = '';
--> statement-breakpoint
ALTER TABLE tickets ENABLE TRIGGER tickets_watched;

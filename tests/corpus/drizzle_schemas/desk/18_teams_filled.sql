INSERT INTO teams (name) VALUES ('first level'), ('second level') ON CONFLICT (name) DO NOTHING;
--> statement-breakpoint
UPDATE tickets SET team_id = teams.id FROM teams WHERE teams.name = CASE WHEN priority < 3 THEN 'second level' ELSE 'first level' END;

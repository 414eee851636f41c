INSERT INTO teams (name) VALUES ('first level') ON CONFLICT (name) DO NOTHING;
--> statement-breakpoint
UPDATE tickets SET team_id = (SELECT id FROM teams WHERE name = 'first level') WHERE team_id IS NULL;

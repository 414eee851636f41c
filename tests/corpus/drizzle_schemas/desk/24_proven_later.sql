ALTER TABLE tickets ADD CONSTRAINT tickets_team_id_teams_id_fk FOREIGN KEY (team_id) REFERENCES teams (id) NOT VALID;
--> statement-breakpoint
ALTER TABLE tickets ADD CONSTRAINT tickets_title_said CHECK (title <> '') NOT VALID;
--> statement-breakpoint
ALTER TABLE tickets SET (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05);

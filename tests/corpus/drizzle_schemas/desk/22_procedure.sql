LOCK TABLE tickets IN SHARE ROW EXCLUSIVE MODE;
--> statement-breakpoint
CREATE PROCEDURE escalate(days integer) LANGUAGE plpgsql AS $$
BEGIN
  UPDATE tickets SET priority = 1 WHERE status = 'open' AND opened_at < now() - make_interval(days => days);
END $$;
--> statement-breakpoint
CALL escalate(30);
--> statement-breakpoint
CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO watchers (ticket_id, who) VALUES (NEW.id, 'team ' || NEW.team_id) ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER tickets_watched AFTER INSERT ON tickets FOR EACH ROW EXECUTE FUNCTION watch();

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM companies WHERE domain = 'example.com') THEN
    INSERT INTO companies (name, domain) VALUES ('Us', 'example.com');
  END IF;
END $$;
--> statement-breakpoint
DO $$
DECLARE
  one record;
BEGIN
  FOR one IN SELECT id FROM people WHERE company_id IS NULL ORDER BY id LOOP
    UPDATE people SET company_id = (SELECT id FROM companies WHERE domain = 'example.com') WHERE id = one.id;
  END LOOP;
END $$;
--> statement-breakpoint
UPDATE people SET name = trim(name), email = lower(email);

-- What release 6.0.0 does to the schema. bin/migrate runs it, through backout.

-- Reports say from now on where they came from, and no longer when.
ALTER TABLE reports ADD COLUMN source text;
ALTER TABLE reports DROP COLUMN received_at;

-- Tenants always have a plan, may have very many seats, and are gone once they are closed.
DELETE FROM tenants WHERE closed;
UPDATE tenants SET plan = 'basic' WHERE plan IS NULL;
ALTER TABLE tenants ALTER COLUMN plan SET NOT NULL;
ALTER TABLE tenants ALTER COLUMN seats TYPE bigint;

-- Their contact's name is in two parts now; the comment tells how it follows from them.
ALTER TABLE tenants ADD COLUMN contact_first text, ADD COLUMN contact_last text;
UPDATE tenants SET contact_first = split_part(contact, ' ', 1), contact_last = split_part(contact, ' ', 2);
ALTER TABLE tenants
  -- backout: back tenants.contact = concat_ws(' ', contact_first, contact_last)
  DROP COLUMN contact;

-- Nobody has read these for years.
DROP TABLE exports;

-- What release 6.0.0 does to the schema. bin/migrate runs it, through backout.

-- Reports say from now on where they came from, and no longer when.
ALTER TABLE reports ADD COLUMN source text;
ALTER TABLE reports DROP COLUMN received_at;

-- Tenants always have a plan, may have very many seats, and are gone once they are closed.
DELETE FROM tenants WHERE closed;
UPDATE tenants SET plan = 'basic' WHERE plan IS NULL;
ALTER TABLE tenants ALTER COLUMN plan SET NOT NULL;
ALTER TABLE tenants ALTER COLUMN seats TYPE bigint;

-- Nobody has read these for years.
DROP TABLE exports;

-- As Alembic and SQLAlchemy write it: names by convention (pk_, fk_, uq_, ck_, ix_), composite keys, check constraints.
CREATE SCHEMA ledger;
CREATE TABLE ledger.alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE DOMAIN ledger.amount AS NUMERIC(18, 4) CONSTRAINT ck_amount_not_nan CHECK (VALUE <> 'NaN'::numeric);
CREATE TABLE ledger.tenant (
    code VARCHAR(12) NOT NULL,
    name TEXT NOT NULL,
    opened DATE NOT NULL,
    options JSON DEFAULT '{}' NOT NULL,
    CONSTRAINT pk_tenant PRIMARY KEY (code),
    CONSTRAINT ck_tenant_code_lower CHECK (code = lower(code))
);
CREATE TABLE ledger.account (
    tenant_code VARCHAR(12) NOT NULL,
    number INTEGER NOT NULL,
    kind VARCHAR(9) NOT NULL,
    currency CHAR(3) DEFAULT 'EUR' NOT NULL,
    parent INTEGER,
    closed_on DATE,
    CONSTRAINT pk_account PRIMARY KEY (tenant_code, number),
    CONSTRAINT fk_account_tenant_code_tenant FOREIGN KEY(tenant_code) REFERENCES ledger.tenant (code) ON UPDATE CASCADE,
    CONSTRAINT fk_account_parent_account FOREIGN KEY(tenant_code, parent) REFERENCES ledger.account (tenant_code, number) ON UPDATE CASCADE,
    CONSTRAINT ck_account_kind CHECK (kind IN ('asset', 'liability', 'equity', 'income', 'expense')),
    CONSTRAINT ck_account_currency CHECK (currency ~ '^[A-Z]{3}$')
);
CREATE TABLE ledger.period (
    tenant_code VARCHAR(12) NOT NULL,
    year SMALLINT NOT NULL,
    month SMALLINT NOT NULL,
    locked BOOLEAN DEFAULT false NOT NULL,
    CONSTRAINT pk_period PRIMARY KEY (tenant_code, year, month),
    CONSTRAINT fk_period_tenant_code_tenant FOREIGN KEY(tenant_code) REFERENCES ledger.tenant (code) ON UPDATE CASCADE,
    CONSTRAINT ck_period_month CHECK (month BETWEEN 1 AND 12)
);
CREATE TABLE ledger.entry (
    id BIGSERIAL NOT NULL,
    tenant_code VARCHAR(12) NOT NULL,
    year SMALLINT NOT NULL,
    month SMALLINT NOT NULL,
    booked_at TIMESTAMP WITHOUT TIME ZONE DEFAULT timezone('utc'::text, now()) NOT NULL,
    reference VARCHAR(64),
    reverses BIGINT,
    CONSTRAINT pk_entry PRIMARY KEY (id),
    CONSTRAINT fk_entry_tenant_code_period FOREIGN KEY(tenant_code, year, month) REFERENCES ledger.period (tenant_code, year, month) ON UPDATE CASCADE,
    CONSTRAINT fk_entry_reverses_entry FOREIGN KEY(reverses) REFERENCES ledger.entry (id),
    CONSTRAINT uq_entry_tenant_code UNIQUE (tenant_code, reference),
    CONSTRAINT ck_entry_not_itself CHECK (reverses IS NULL OR reverses <> id)
);
CREATE TABLE ledger.line (
    entry_id BIGINT NOT NULL,
    position SMALLINT NOT NULL,
    tenant_code VARCHAR(12) NOT NULL,
    account INTEGER NOT NULL,
    debit ledger.amount DEFAULT 0 NOT NULL,
    credit ledger.amount DEFAULT 0 NOT NULL,
    rate DOUBLE PRECISION,
    memo TEXT,
    CONSTRAINT pk_line PRIMARY KEY (entry_id, position),
    CONSTRAINT fk_line_entry_id_entry FOREIGN KEY(entry_id) REFERENCES ledger.entry (id) ON DELETE CASCADE,
    CONSTRAINT fk_line_tenant_code_account FOREIGN KEY(tenant_code, account) REFERENCES ledger.account (tenant_code, number) ON UPDATE CASCADE,
    CONSTRAINT ck_line_one_side CHECK ((debit = 0) <> (credit = 0)),
    CONSTRAINT ck_line_positive CHECK (debit >= 0 AND credit >= 0)
);
CREATE TABLE ledger.balance (
    tenant_code VARCHAR(12) NOT NULL,
    account INTEGER NOT NULL,
    total ledger.amount DEFAULT 0 NOT NULL,
    lines BIGINT DEFAULT 0 NOT NULL,
    CONSTRAINT pk_balance PRIMARY KEY (tenant_code, account),
    CONSTRAINT fk_balance_tenant_code_account FOREIGN KEY(tenant_code, account) REFERENCES ledger.account (tenant_code, number) ON UPDATE CASCADE
);
CREATE INDEX ix_entry_booked_at ON ledger.entry (booked_at DESC);
CREATE INDEX ix_line_tenant_code_account ON ledger.line (tenant_code, account) INCLUDE (debit, credit);
COMMENT ON TABLE ledger.line IS 'One side of a booking; the sum of an entry is zero.';
COMMENT ON COLUMN ledger.line.rate IS 'To the tenant''s currency';
CREATE FUNCTION ledger.add_to_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ledger.balance AS b (tenant_code, account, total, lines)
    VALUES (NEW.tenant_code, NEW.account, NEW.debit - NEW.credit, 1)
    ON CONFLICT (tenant_code, account) DO UPDATE SET total = b.total + excluded.total, lines = b.lines + 1;
    RETURN NULL;
END $$;
CREATE TRIGGER line_to_balance AFTER INSERT ON ledger.line FOR EACH ROW EXECUTE FUNCTION ledger.add_to_balance();
CREATE VIEW ledger.trial_balance AS
    SELECT a.tenant_code, a.number, a.kind, b.total FROM ledger.account a
    LEFT JOIN ledger.balance b ON b.tenant_code = a.tenant_code AND b.account = a.number;

INSERT INTO ledger.alembic_version VALUES ('3f2a9c1d7b54');
INSERT INTO ledger.tenant (code, name, opened, options) VALUES
    ('acme', 'Acme "Ltd"', '2019-01-01', '{"b": 1, "a": [1, 2],  "b": 2}'), ('nord', 'Nørd AS', '-infinity', '{}'),
    ('seoul', '서울', '2024-02-29', 'null');
INSERT INTO ledger.account (tenant_code, number, kind, currency, parent, closed_on)
SELECT code, n, (ARRAY['asset', 'liability', 'equity', 'income', 'expense'])[1 + n % 5], 'EUR',
       CASE WHEN n > 1000 THEN 1000 END, CASE WHEN n % 13 = 0 THEN date '2024-12-31' END
FROM ledger.tenant, generate_series(1000, 1040) n ORDER BY code, n;
INSERT INTO ledger.period SELECT code, y, m, y < 2024 FROM ledger.tenant, generate_series(2023, 2024) y, generate_series(1, 12) m;
INSERT INTO ledger.entry (tenant_code, year, month, booked_at, reference, reverses)
SELECT (ARRAY['acme', 'nord', 'seoul'])[1 + g % 3], 2023 + g % 2, 1 + g % 12, timestamp '2023-01-01' + g * interval '3 hours 0.000001 s',
       CASE WHEN g % 4 <> 0 THEN 'R-' || g END, CASE WHEN g % 50 = 0 THEN g - 1 END
FROM generate_series(1, 300) g ORDER BY g;
INSERT INTO ledger.line (entry_id, position, tenant_code, account, debit, credit, rate, memo)
SELECT e.id, p, e.tenant_code, 1000 + (e.id + p) % 41, CASE p WHEN 1 THEN e.id + 0.0001 ELSE 0 END,
       CASE p WHEN 2 THEN e.id + 0.0001 ELSE 0 END, CASE WHEN e.id % 3 = 0 THEN 1.0 / e.id END, nullif('memo ' || e.id % 5, 'memo 0')
FROM ledger.entry e, generate_series(1, 2) p ORDER BY e.id, p;

// Runs one migration that is a JavaScript class: `node classes.cjs KIND FILE up|down`, in the database that DATABASE_URL names.
// Its imports of the framework get a stand-in: a class that gathers SQL (MikroORM), or asks the database (TypeORM).
// Source: @mikro-orm/migrations 6, Migration and MigrationRunner; typeorm 0.3, MigrationExecutor and PostgresQueryRunner.
const Module = require('module');
const { Client } = require(process.env.CORPUS_PG);
const [kind, file, direction] = process.argv.slice(2);

class Migration {
  constructor(client) { this.client = client; this.queries = []; }
  addSql(sql) { this.queries.push(sql); }
  getQueries() { return this.queries; }
  reset() { this.queries = []; }
  isTransactional() { return true; }
  async execute(sql, values) { return (await this.client.query(sql, values)).rows; }
  async down() { throw new Error('This migration cannot be reverted'); }
}

// Whatever else is imported is never looked at by a migration that can be run alone.
const nothing = new Proxy(function () {}, {
  get: (_of, name) => (name === 'Migration' ? Migration : name === '__esModule' ? true : nothing),
  apply: () => nothing,
  construct: () => nothing,
});
const load = Module._load;
const loads = JSON.parse(process.env.CORPUS_LOADS);
Module._load = (name, parent, isMain) => {
  if (loads[name]) return load(loads[name], null, false);
  try { return load(name, parent, isMain); } catch (error) { if (error.code === 'MODULE_NOT_FOUND') return nothing; throw error; }
};

function runner(client) {
  const has = async (sql, values) => (await client.query(sql, values)).rowCount > 0;
  return {
    query: async (sql, values) => (await client.query(sql, values)).rows,
    hasColumn: (table, column) => has('SELECT 1 FROM information_schema.columns WHERE table_name = $1 AND column_name = $2', [table, column]),
    getTable: async (table) => ({ columns: (await client.query('SELECT column_name AS name FROM information_schema.columns WHERE table_name = $1', [table])).rows }),
    hasTable: (table) => has('SELECT 1 FROM information_schema.tables WHERE table_name = $1', [table]),
  };
}

async function main() {
  const found = Object.values(require(file)).find((one) => typeof one === 'function' && one.prototype && (one.prototype.up || one.prototype[direction]));
  if (!found) throw new Error('no class with a way up');
  const client = new Client({ connectionString: process.env.DATABASE_URL });
  await client.connect();
  try {
    const name = require('path').basename(file, '.js');
    const table = kind === 'mikroorm' ? 'mikro_orm_migrations' : 'typeorm_migrations';
    await client.query('BEGIN');
    if (kind === 'mikroorm') {
      const one = new found(client);
      await one[direction]();
      for (const sql of one.getQueries()) await client.query(sql);
    } else {
      await new found()[direction](runner(client));
    }
    await client.query(direction === 'up' ? `INSERT INTO ${table} (name) VALUES ($1)` : `DELETE FROM ${table} WHERE name = $1`, [name]);
    await client.query('COMMIT');
  } finally {
    await client.end();
  }
}

main().catch((error) => { process.stdout.write(`${error.name}: ${error.message} ${error.detail || ''} ${error.hint || ''}\n${error.stack}`); process.exitCode = 1; });

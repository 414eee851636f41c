import { defineConfig } from "drizzle-kit";

// In your project there is one schema.ts and one folder drizzle/; here each release has them as they were then.
const release = `./v${process.env.RELEASE ?? 3}`;

export default defineConfig({
  dialect: "postgresql",
  schema: `${release}/schema.ts`,
  out: `${release}/drizzle`,
  dbCredentials: { url: process.env.DATABASE_URL! },
});

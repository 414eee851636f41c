import { PrismaPg } from "@prisma/adapter-pg";
import { defineConfig } from "prisma/config";

// The timer of its lock keeps `migrate deploy` from its end for ten seconds after its work: nothing is changed but that.
const timer = globalThis.setTimeout;
globalThis.setTimeout = ((work: () => void, ms?: number) => {
  const made = timer(work, ms);
  return (ms ?? 0) >= 10_000 ? made.unref() : made;
}) as typeof setTimeout;

// The engine that migrates is the one that is in the package, compiled to WebAssembly; another one would be downloaded.
export default defineConfig({
  experimental: { adapter: true },
  engine: "js",
  schema: "prisma/schema.prisma",
  // It also leaves its pool open.
  adapter: async () => new PrismaPg({ connectionString: process.env.DATABASE_URL, allowExitOnIdle: true }),
});

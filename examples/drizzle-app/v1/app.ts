import { eq } from "drizzle-orm";
import { db } from "../db.ts";
import { serve } from "../http.ts";
import { customers, orders, visits } from "./schema.ts";

serve({
  "GET /customers": () =>
    db
      .select({ id: customers.id, email: customers.email, name: customers.fullName })
      .from(customers)
      .orderBy(customers.id),
  "POST /customers": ({ email, name }) => db.insert(customers).values({ email, fullName: name }).returning(),

  "GET /orders": () => db.select().from(orders).orderBy(orders.id),
  "POST /orders": ({ customerId, cents, note }) => db.insert(orders).values({ customerId, cents, note }).returning(),
  "POST /orders/:id": ({ status }, id) => db.update(orders).set({ status }).where(eq(orders.id, id)).returning(),

  "GET /visits": () => db.select().from(visits).orderBy(visits.id),
  "POST /visits": ({ path }) => db.insert(visits).values({ path }).returning(),
});

import { eq } from "drizzle-orm";
import { db } from "../db.ts";
import { serve } from "../http.ts";
import { customers, orders } from "./schema.ts";

serve({
  "GET /customers": () => db.select().from(customers).orderBy(customers.id),
  "POST /customers": ({ email, name, newsletter }) =>
    db.insert(customers).values({ email, name, newsletter }).returning(),
  "POST /customers/:id": ({ name }, id) =>
    db.update(customers).set({ name }).where(eq(customers.id, id)).returning(),

  "GET /orders": () => db.select().from(orders).orderBy(orders.id),
  "POST /orders": ({ customerId, cents, reference }) =>
    db.insert(orders).values({ customerId, cents, reference }).returning(),
  "POST /orders/:id": ({ status }, id) =>
    db
      .update(orders)
      .set({ status, ...(status === "paid" && { paidAt: new Date() }) })
      .where(eq(orders.id, id))
      .returning(),
});

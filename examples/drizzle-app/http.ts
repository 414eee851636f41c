// Node's own server, JSON in and out. In Next.js each of these functions is what a route.ts exports.
import { createServer } from "node:http";

type Handler = (body: any, id: number) => PromiseLike<unknown>;

/** Answer by `METHOD /word` or `METHOD /word/:id`. */
export function serve(handlers: Record<string, Handler>): void {
  const server = createServer(async (request, response) => {
    const answer = (status: number, body: unknown) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    const [, word, id] = (request.url ?? "/").split("/");
    const handler = handlers[`${request.method} /${word}${id ? "/:id" : ""}`];
    if (!handler) return answer(404, { error: `no ${request.method} ${request.url}` });
    try {
      const text = (await request.toArray()).join("");
      answer(200, await handler(JSON.parse(text || "{}"), Number(id)));
    } catch (error) {
      answer(500, { error: String((error as Error).cause ?? error) });
    }
  });
  server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => console.log("listening", server.address()));
}

// A project of somebody else's: its tests ask `parity provider` where they would ask OpenAI.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, beforeEach, test } from "node:test";
import OpenAI from "openai";

let provider, url, client;

before(async () => {
  provider = spawn(process.env.PARITY ?? "parity", ["provider"], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(createInterface({ input: provider.stdout }), "line");
  url = line.split(" ").at(-1);
  client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "any", maxRetries: 0 });
});
after(async () => {
  provider.kill("SIGTERM");
  await once(provider, "exit");
});
beforeEach(() => fetch(`${url}/_control`, { method: "DELETE" }));

const ask = (model, rest = {}) =>
  client.chat.completions.create({ model, messages: [{ role: "user", content: "Hello?" }], ...rest });

test("an answer", async () => {
  const answer = await ask("chat.plain");
  assert.equal(answer.object, "chat.completion");
  assert.match(answer.choices[0].message.content, /Hello/);
});

test("a stream, piece by piece", async () => {
  let text = "";
  for await (const chunk of await ask("streaming.plain", { stream: true })) {
    text += chunk.choices[0]?.delta?.content ?? "";
  }
  assert.notEqual(text, "");
});

test("a rate limit, with what to wait", async () => {
  await assert.rejects(ask("errors.retry_after[seconds]"), (error) => {
    assert.ok(error instanceof OpenAI.RateLimitError);
    assert.equal(error.headers.get("retry-after"), "7");
    return true;
  });
});

test("a connection that breaks", async () => {
  await assert.rejects(ask("errors.connection_reset[openai]"), OpenAI.APIConnectionError);
});

test("a tool call", async () => {
  const answer = await ask("chat.tool_call");
  assert.equal(answer.choices[0].finish_reason, "tool_calls");
});

test("the scenario as the key, for whoever can't choose the model", async () => {
  const other = client.withOptions({ apiKey: "chat.plain" });
  const answer = await other.chat.completions.create({
    model: "gpt-4o",
    messages: [{ role: "user", content: "Hello?" }],
  });
  assert.match(answer.choices[0].message.content, /Hello/);
});

test("what the provider received", async () => {
  await ask("chat.plain", { temperature: 0.5 });
  const { received } = await (await fetch(`${url}/_control`)).json();
  assert.equal(received.length, 1);
  assert.equal(received[0].scenario, "chat.plain");
  assert.equal(received[0].call.body.temperature, 0.5);
});

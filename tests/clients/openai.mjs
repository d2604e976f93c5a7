// npm `openai` against a server. Arguments: base URL.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "none", maxRetries: 0, timeout: 120_000 });
const messages = [{ role: "user", content: "What is 17+25?" }];
const model = "local/pocket";

const answer = await client.chat.completions.create({ model, messages, max_tokens: 20 });
let streamed = "";
for await (const chunk of await client.chat.completions.create({ model, messages, max_tokens: 20, stream: true })) {
  streamed += chunk.choices[0]?.delta?.content ?? "";
}
const helper = client.chat.completions.stream({ model, messages, max_tokens: 20 });
const response = await client.responses.create({ model, input: "What is 17+25?", max_output_tokens: 20 });
let events = [];
for await (const event of await client.responses.create({ model, input: "17+25", max_output_tokens: 20, stream: true })) {
  events.push(event.type);
}
const models = [];
for await (const each of client.models.list()) models.push(each.id);

async function failure(call) {
  try {
    await call();
  } catch (error) {
    return { name: error.constructor.name, status: error.status, code: error.code, param: error.param };
  }
}

console.log(JSON.stringify({
  text: answer.choices[0].message.content,
  finish: answer.choices[0].finish_reason,
  usage: answer.usage.total_tokens > 0,
  stream: streamed,
  helper: (await helper.finalMessage()).content,
  response: response.output_text,
  first: events[0],
  last: events.at(-1),
  models,
  unknown: await failure(() => client.chat.completions.create({ model: "gpt-9", messages })),
  bad: await failure(() => client.chat.completions.create({ model, messages, temperature: -1 })),
}));

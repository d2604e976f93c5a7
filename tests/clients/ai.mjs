// Vercel's `ai` with both of its OpenAI providers against a server. Arguments: base URL.
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, Output, streamText } from "ai";
import { z } from "zod";

const baseURL = process.argv[2];
const compatible = createOpenAICompatible({ name: "zoran", baseURL, includeUsage: true, supportsStructuredOutputs: true });
const openai = createOpenAI({ baseURL, apiKey: "none" });
const ask = { prompt: "What is 17+25?", maxOutputTokens: 20, maxRetries: 0 };
const model = compatible("local/pocket");

const answer = await generateText({ model, ...ask });
const stream = streamText({ model, ...ask });
let streamed = "";
for await (const part of stream.textStream) streamed += part;
const schema = z.object({ colour: z.enum(["red", "blue"]) });
const object = await generateText({ model, ...ask, maxOutputTokens: 60, output: Output.object({ schema }) });
const chat = await generateText({ model: openai.chat("local/pocket"), ...ask });
const responses = await generateText({ model: openai.responses("local/pocket"), ...ask });
const responsesStream = streamText({ model: openai.responses("local/pocket"), ...ask });
let responsesStreamed = "";
for await (const part of responsesStream.textStream) responsesStreamed += part;
let failed;
try {
  await generateText({ model: compatible("gpt-9"), ...ask });
} catch (error) {
  failed = { known: APICallError.isInstance(error), status: error.statusCode, retryable: error.isRetryable, message: error.message };
}

console.log(JSON.stringify({
  text: answer.text,
  finish: answer.finishReason,
  usage: answer.usage.totalTokens > 0,
  stream: streamed,
  streamUsage: (await stream.usage).totalTokens > 0,
  object: object.output,
  chat: chat.text,
  responses: responses.text,
  responsesStream: responsesStreamed,
  failed,
}));

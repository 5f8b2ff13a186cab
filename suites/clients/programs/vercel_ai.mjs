// The Vercel AI SDK on its OpenAI (responses), OpenAI-compatible (chat) or Anthropic provider: one question, what came of it as one line of JSON.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText, tool } from "ai";
import { z } from "zod";

const [kind, vendor] = process.argv.slice(2);
const { GATEWAY, TOKEN: apiKey, MODEL } = process.env;
const baseURL = `${GATEWAY}/v1`;
const providers = {
  anthropic: () => createAnthropic({ baseURL, apiKey })(MODEL),
  openai: () => createOpenAI({ baseURL, apiKey })(MODEL),
  compatible: () => createOpenAICompatible({ name: "held", baseURL, apiKey })(MODEL),
};
const ask = { model: providers[vendor](), prompt: "Say something.", onError: () => {} };
const asks = {
  plain: async () => ({ text: (await generateText(ask)).text }),
  stream: async () => {
    let text = "";
    for await (const part of streamText(ask).textStream) text += part;
    return { text };
  },
  tools: async () => {
    const tools = { look_up: tool({ description: "The weather.", inputSchema: z.object({ city: z.string() }) }) };
    const call = (await generateText({ ...ask, tools })).toolCalls[0];
    return { tool: call.toolName, arguments: call.input };
  },
};
let told;
try {
  told = await asks[kind === "error" ? "plain" : kind]();
} catch (error) {
  const last = error.lastError ?? error;
  told = { status: last.statusCode, kind: last.constructor.name, message: last.message };
}
console.log(JSON.stringify(told));

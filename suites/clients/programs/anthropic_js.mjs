// The official Anthropic SDK for JavaScript: one question, what came of it as one line of JSON.
import Anthropic from "@anthropic-ai/sdk";

const [kind] = process.argv.slice(2);
const { GATEWAY, TOKEN, MODEL: model } = process.env;
const client = new Anthropic({ baseURL: GATEWAY, apiKey: TOKEN });
const ask = { model, max_tokens: 64, messages: [{ role: "user", content: "Say something." }] };
const asks = {
  plain: async () => ({ text: (await client.messages.create(ask)).content[0].text }),
  stream: async () => {
    let text = "";
    for await (const event of client.messages.stream(ask)) if (event.delta?.type === "text_delta") text += event.delta.text;
    return { text };
  },
  tools: async () => {
    const tools = [{ name: "look_up", input_schema: { type: "object", properties: { city: { type: "string" } } } }];
    const use = (await client.messages.create({ ...ask, tools })).content.find((block) => block.type === "tool_use");
    return { tool: use.name, arguments: use.input };
  },
};
let told;
try {
  told = await asks[kind === "error" ? "plain" : kind]();
} catch (error) {
  told = { status: error.status, kind: error.constructor.name, message: error.message };
}
console.log(JSON.stringify(told));

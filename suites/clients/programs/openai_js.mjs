// The official OpenAI SDK for JavaScript, chat completions and responses: one question, what came of it as one line of JSON.
import OpenAI from "openai";

const [kind, api] = process.argv.slice(2);
const { GATEWAY, TOKEN, MODEL: model } = process.env;
const client = new OpenAI({ baseURL: `${GATEWAY}/v1`, apiKey: TOKEN });
const messages = [{ role: "user", content: "Say something." }];
const parameters = { type: "object", properties: { city: { type: "string" } } };

const chat = {
  plain: async () => ({ text: (await client.chat.completions.create({ model, messages })).choices[0].message.content }),
  stream: async () => {
    let text = "";
    for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) text += chunk.choices[0]?.delta?.content ?? "";
    return { text };
  },
  tools: async () => {
    const tools = [{ type: "function", function: { name: "look_up", parameters } }];
    const call = (await client.chat.completions.create({ model, messages, tools })).choices[0].message.tool_calls[0];
    return { tool: call.function.name, arguments: JSON.parse(call.function.arguments) };
  },
};
const responses = {
  plain: async () => ({ text: (await client.responses.create({ model, input: "Say something." })).output_text }),
  stream: async () => {
    let text = "";
    for await (const event of await client.responses.create({ model, input: "Say something.", stream: true }))
      if (event.type === "response.output_text.delta") text += event.delta;
    return { text };
  },
  tools: async () => {
    const tools = [{ type: "function", name: "look_up", strict: false, parameters }];
    const call = (await client.responses.create({ model, input: "Weather?", tools })).output.find((item) => item.type === "function_call");
    return { tool: call.name, arguments: JSON.parse(call.arguments) };
  },
};
const asks = api === "responses" ? responses : chat;
let told;
try {
  told = await asks[kind === "error" ? "plain" : kind]();
} catch (error) {
  told = { status: error.status, kind: error.constructor.name, message: error.message };
}
console.log(JSON.stringify(told));

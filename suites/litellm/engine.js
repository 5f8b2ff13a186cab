#!/usr/bin/env node
// The part of Prisma's query engine that LiteLLM uses, over the official client for JavaScript, whose own
// engine is WebAssembly: Prisma's binary comes from a host of its own, and no package registry has it.
//
//   PRISMA_QUERY_ENGINE_BINARY=engine.js NODE_PACKAGES=FOLDER DATABASE_URL=postgresql://... litellm ...
//
// The client for Python starts this file as `engine.js -p PORT` and sends GraphQL over HTTP; for `--version`
// it wants the version that it was made for.
"use strict";

const VERSION = "query-engine 393aa359c9ad4a4bb28630fb5613f9c281cde053";
const ACTIONS = {
  findUniqueOrThrow: "findUniqueOrThrow",
  findUnique: "findUnique",
  findFirst: "findFirst",
  findMany: "findMany",
  createOne: "create",
  createMany: "createMany",
  updateOne: "update",
  updateMany: "updateMany",
  deleteOne: "delete",
  deleteMany: "deleteMany",
  upsertOne: "upsert",
  aggregate: "aggregate",
  groupBy: "groupBy",
};
const COUNTED = new Set(["createMany", "updateMany", "deleteMany"]);
// The types of PostgreSQL's columns, by the names that the client for Python has for them.
const TYPES = {
  16: "bool", 20: "bigint", 21: "int", 23: "int", 114: "json", 700: "float", 701: "double", 1082: "string",
  1009: "string-array", 1015: "string-array", 1114: "datetime", 1184: "datetime", 1700: "decimal", 3802: "json",
};
const TIMESTAMP = 1114, TIMESTAMP_WITH_ZONE = 1184;

if (process.argv.includes("--version")) {
  console.log(VERSION);
  process.exit(0);
}
// The client for JavaScript would take the settings of the one for Python for its own.
for (const name of Object.keys(process.env)) if (name.startsWith("PRISMA_")) delete process.env[name];

const { createServer } = require("http");
const { createRequire } = require("module");
const { randomUUID } = require("crypto");
const fromPackages = createRequire(`${process.env.NODE_PACKAGES}/`);
const { Kind, parse } = fromPackages("graphql");
const { Prisma, PrismaClient } = fromPackages("@prisma/client");
const { PrismaPg } = fromPackages("@prisma/adapter-pg");
const { Pool, types } = fromPackages("pg");

const connectionString = process.env.DATABASE_URL;
const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString }) });
const pool = new Pool({ connectionString });
const models = prisma._runtimeDataModel.models;
const transactions = new Map();

types.setTypeParser(TIMESTAMP, (text) => `${text.replace(" ", "T")}Z`);
types.setTypeParser(TIMESTAMP_WITH_ZONE, (text) => new Date(text).toISOString());

const fieldOf = (model, name) => models[model] && models[model].fields.find((field) => field.name === name);

// Return the value of a node of GraphQL.
function valueOf(node, variables) {
  switch (node.kind) {
    case Kind.OBJECT:
      return Object.fromEntries(node.fields.map(({ name, value }) => [name.value, valueOf(value, variables)]));
    case Kind.LIST:
      return node.values.map((item) => valueOf(item, variables));
    case Kind.INT:
    case Kind.FLOAT:
      return Number(node.value);
    case Kind.NULL:
      return null;
    case Kind.VARIABLE:
      return variables[node.name.value];
    default:
      return node.value;
  }
}

// Return a JSON value as the client for JavaScript wants it; the one for Python sends JSON as text.
function jsonOf(value) {
  if (value === null) return Prisma.DbNull;
  if (typeof value === "object") return "set" in value ? jsonOf(value.set) : value;
  try {
    const parsed = JSON.parse(value);
    return parsed === null ? Prisma.JsonNull : parsed;
  } catch {
    return value;
  }
}

// Return arguments with JSON as values; `model` is the one whose fields they name.
function argumentsOf(model, value) {
  if (Array.isArray(value)) return value.map((item) => argumentsOf(model, item));
  if (value === null || typeof value !== "object") return value;
  const changed = Object.entries(value).map(([name, item]) => {
    const field = fieldOf(model, name);
    if (!field) return [name, argumentsOf(model, item)];
    if (field.kind === "object") return [name, argumentsOf(field.type, item)];
    return [name, field.type === "Json" ? jsonOf(item) : item];
  });
  return Object.fromEntries(changed);
}

// Return the arguments of a selection.
function given(model, selection, variables) {
  const pairs = (selection.arguments || []).map((item) => [item.name.value, valueOf(item.value, variables)]);
  return argumentsOf(model, Object.fromEntries(pairs));
}

// Return a selection as the client for JavaScript writes it.
function selectionOf(model, set, variables) {
  const pairs = set.selections.map((selection) => {
    const name = selection.name.value, field = fieldOf(model, name);
    if (!selection.selectionSet) return [name, true];
    if (!field) return [name, { select: plainly(selection.selectionSet) }];
    const inner = selectionOf(field.type, selection.selectionSet, variables);
    return [name, { ...given(field.type, selection, variables), select: inner }];
  });
  return Object.fromEntries(pairs);
}

const plainly = (set) => Object.fromEntries(set.selections.map((selection) => [selection.name.value, true]));

// Return a result with JSON as text.
function resultOf(model, value) {
  if (Array.isArray(value)) return value.map((item) => resultOf(model, item));
  if (value === null || typeof value !== "object" || value instanceof Date) return value;
  const changed = Object.entries(value).map(([name, item]) => {
    const field = fieldOf(model, name);
    if (field && field.type === "Json") return [name, item === null ? null : JSON.stringify(item)];
    return [name, field && field.kind === "object" ? resultOf(field.type, item) : item];
  });
  return Object.fromEntries(changed);
}

// Return the parameters of a raw query, which come as a text of JSON.
function parametersOf(text) {
  return JSON.parse(text || "[]").map((item) => {
    if (item === null || typeof item !== "object") return item;
    return "prisma__value" in item ? item.prisma__value : JSON.stringify(item);
  });
}

function typeOf(value) {
  if (typeof value === "bigint") return "bigint";
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "double";
  if (typeof value === "boolean") return "bool";
  if (value instanceof Date) return "datetime";
  if (Array.isArray(value)) return "string-array";
  return value !== null && typeof value === "object" ? "json" : "string";
}

// Return the rows of a raw query. Within a transaction the client answers, which tells no types.
async function rowsOf(client, query, parameters) {
  if (client === prisma) {
    const result = await pool.query({ text: query, values: parameters, rowMode: "array" });
    const columns = result.fields.map((field) => field.name);
    const known = result.fields.map((field) => TYPES[field.dataTypeID] || "string");
    return { columns, types: known, rows: result.rows };
  }
  const rows = await client.$queryRawUnsafe(query, ...parameters);
  const columns = Object.keys(rows[0] || {});
  const told = columns.map((name) => typeOf((rows.find((row) => row[name] !== null) || {})[name]));
  return { columns, types: told, rows: rows.map((row) => columns.map((name) => row[name])) };
}

// Run one selection of an operation, and return its result.
async function run(client, selection, variables) {
  const name = selection.name.value;
  if (name === "queryRaw" || name === "executeRaw") {
    const { query, parameters } = given("", selection, variables);
    if (name === "queryRaw") return rowsOf(client, query, parametersOf(parameters));
    return client.$executeRawUnsafe(query, ...parametersOf(parameters));
  }
  const action = Object.keys(ACTIONS).find((prefix) => name.startsWith(prefix));
  const model = name.slice(action.length);
  const table = client[model[0].toLowerCase() + model.slice(1)];
  const wanted = given(model, selection, variables);
  if (COUNTED.has(action)) return { count: (await table[action](wanted)).count };
  const set = selection.selectionSet;
  if (action === "aggregate" || action === "groupBy") {
    const inner = set.selections.filter((item) => item.selectionSet);
    const sums = Object.fromEntries(inner.map((item) => [item.name.value, plainly(item.selectionSet)]));
    return table[action]({ ...wanted, ...sums });
  }
  if (set) wanted.select = selectionOf(model, set, variables);
  return resultOf(model, await table[ACTIONS[action]](wanted));
}

// Return the answer to one request of the client for Python.
async function answer(client, { query, variables }) {
  const data = {};
  try {
    for (const selection of parse(query).definitions[0].selectionSet.selections) {
      data[(selection.alias || selection.name).value] = await run(client, selection, variables || {});
    }
    return { data };
  } catch (error) {
    const message = String(error.message);
    const told = { is_panic: false, message, meta: error.meta || {}, error_code: error.code || "P2010" };
    return { errors: [{ error: message, user_facing_error: told }] };
  }
}

// Begin a transaction that lives until it is committed or rolled back, and return its id.
async function begin({ max_wait: maxWait = 2000, timeout = 5000 }) {
  const id = randomUUID();
  await new Promise((began, failed) => {
    const ended = prisma.$transaction(
      (client) => new Promise((commit, rollback) => {
        const undo = () => rollback(new Error("rolled back"));
        transactions.set(id, { client, commit, rollback: undo, ended: () => ended });
        began();
      }),
      { maxWait, timeout },
    );
    ended.catch(failed);
  });
  return { id };
}

async function end(id, how) {
  const transaction = transactions.get(id);
  transactions.delete(id);
  transaction[how]();
  await transaction.ended().catch((error) => { if (how === "commit") throw error; });
  return {};
}

// Return the answer to a request at a path.
async function route(request, body) {
  const [, kind, id, how] = request.url.split("/");
  if (request.method === "GET") return { status: "ok" };
  if (kind === "transaction") return id === "start" ? begin(body) : end(id, how);
  const within = transactions.get(request.headers["x-transaction-id"]);
  const client = within ? within.client : prisma;
  if (!body.batch) return answer(client, body);
  const results = [];
  for (const part of body.batch) results.push(await answer(client, part));
  return { batchResult: results };
}

const plain = (_, value) => (typeof value === "bigint" ? value.toString() : value);
const written = (value) => JSON.stringify(value, plain);

createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", async () => {
    response.setHeader("content-type", "application/json");
    try {
      response.end(written(await route(request, JSON.parse(Buffer.concat(parts).toString() || "{}"))));
    } catch (error) {
      response.statusCode = 500;
      response.end(written({ errors: [{ error: String(error) }] }));
    }
  });
}).listen(Number(process.argv[process.argv.indexOf("-p") + 1]), "localhost");

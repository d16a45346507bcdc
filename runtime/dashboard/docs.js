// The page of the API: /openapi.json, made readable.
import { byId, element, icon, put } from "./elements.js";

const ACCESS = { anyone: "anyone", public: "any key", private: "private key" };
/** A description for FastAPI's own error body, which this server does not send. */
const NOT_SENT = "422";

let description;

void open();

async function open() {
  const reply = await fetch("openapi.json");
  description = await reply.json();
  put(byId("version"), description.info.version);
  const groups = grouped(routes());
  for (const [tag, found] of groups) {
    const name = element("span", { class: "soft small" }, String(found.length));
    byId("tags").append(element("a", { href: `#${tag}` }, capital(tag), name));
    const list = element("div", { class: "card" }, ...found.map(shown));
    byId("routes").append(element("section", {}, element("h2", { id: tag }, capital(tag)), list));
  }
  byId("find").addEventListener("input", find);
  window.addEventListener("hashchange", unfold);
  unfold();
}

/** Every route; methods of one path that do the same are one. */
function routes() {
  const found = new Map();
  for (const [path, methods] of Object.entries(description.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const key = `${path} ${operation.description}`;
      const same = found.get(key);
      if (same === undefined) found.set(key, { path, methods: [method], operation });
      else same.methods.push(method);
    }
  }
  return [...found.values()];
}

function grouped(found) {
  const groups = new Map();
  for (const route of found) {
    const [tag] = route.operation.tags ?? ["other"];
    groups.set(tag, [...(groups.get(tag) ?? []), route]);
  }
  return groups;
}

function shown({ path, methods, operation }) {
  const access = accessOf(operation);
  const method = methods.length > 2 ? "any" : methods.join(" ");
  const says = operation.description ?? operation.summary ?? "";
  const parameters = operation.parameters ?? [];
  const body = operation.requestBody?.content?.["application/json"]?.schema;
  const inside = [
    ...part("Parameters", parameters.map((each) => parameter(each))),
    ...part("Body, JSON", body === undefined ? [] : fields(body)),
    ...part("Replies", replies(operation)),
    element("h3", {}, "With curl"),
    snippet(curl(path, methods, access, body)),
  ];
  return element(
    "details",
    { id: operation.operationId, "data-find": `${methods.join(" ")} ${path} ${says}`.toLowerCase() },
    element(
      "summary",
      {},
      element("span", { class: "method", "data-method": methods[0] }, method.toUpperCase()),
      element("span", { class: "path" }, path),
      element("span", { class: "access", "data-for": access }, ACCESS[access]),
      element("span", { class: "says" }, says),
    ),
    element("div", { class: "inside" }, ...inside),
  );
}

/** Who may call: anyone, public or private, as the route's security scheme is called. */
function accessOf({ security }) {
  const [first] = security ?? [];
  return first === undefined ? "anyone" : Object.keys(first)[0];
}

function part(title, rows) {
  if (rows.length === 0) return [];
  return [element("h3", {}, title), element("dl", { class: "fields" }, ...rows)];
}

function field(name, must, words) {
  const needed = must ? [element("span", { class: "must small" }, " needed")] : [];
  return element("div", {}, element("dt", {}, name, ...needed), element("dd", { class: "soft" }, words));
}

function parameter({ name, in: where, required, schema, description: says }) {
  const words = [`in the ${where}: ${inWords(schema)}`];
  if (schema.default !== undefined) words.push(`${schema.default} unless given`);
  if (says) words.push(says);
  return field(name, required, words.join("; "));
}

/** The fields of a JSON body, those of objects within it with their path before them. */
function fields(schema, before = "") {
  const body = resolved(schema);
  return Object.entries(body.properties ?? {}).flatMap(([name, each]) => {
    const inner = resolved(each);
    const item = inner.type === "array" ? resolved(inner.items ?? {}) : inner;
    const path = before + name;
    const must = (body.required ?? []).includes(name);
    const words = [inWords(each)];
    if (inner.description ?? each.description) words.push(inner.description ?? each.description);
    const within = item.properties ? fields(item, `${path}${item === inner ? "." : "[]."}`) : [];
    return [field(path, must, words.join("; ")), ...within];
  });
}

function replies({ responses }) {
  return Object.entries(responses)
    .filter(([status]) => status !== NOT_SENT)
    .map(([status, { description: says, content }]) => {
      const [[type, told] = []] = Object.entries(content ?? {});
      const properties = Object.keys(resolved(told?.schema ?? {}).properties ?? {});
      const words = [says === "Successful Response" ? "Done" : says];
      if (type !== undefined) words.push(type === "application/json" ? "JSON" : type);
      if (properties.length > 0) words.push(properties.join(", "));
      return field(status, false, words.join("; "));
    });
}

/** A schema without references, and without the null that stands for "not given". */
function resolved(schema) {
  if (schema.$ref !== undefined) {
    return description.components.schemas[schema.$ref.split("/").at(-1)];
  }
  const choices = (schema.anyOf ?? []).filter((each) => each.type !== "null");
  return choices.length === 1 ? resolved(choices[0]) : schema;
}

function inWords(given) {
  const schema = resolved(given);
  if (schema.enum !== undefined) return schema.enum.join(" or ");
  if (schema.anyOf !== undefined) return schema.anyOf.map(inWords).join(" or ");
  const { minimum, maximum, minLength, maxLength } = schema;
  switch (schema.type) {
    case "string":
      return `text${range(minLength > 1 ? minLength : undefined, maxLength, " characters")}`;
    case "integer":
      return `whole number${range(minimum, maximum, "")}`;
    case "number":
      return `number${range(minimum, maximum, "")}`;
    case "boolean":
      return "true or false";
    case "array":
      return `list of: ${inWords(schema.items ?? {})}${range(undefined, schema.maxItems, " entries")}`;
    case "object":
      return "object";
    default:
      return "any JSON";
  }
}

function range(least, most, unit) {
  const number = (value) => value.toLocaleString("en");
  if (least !== undefined && most !== undefined) return `, ${number(least)} to ${number(most)}${unit}`;
  if (most !== undefined) return `, at most ${number(most)}${unit}`;
  return least === undefined ? "" : `, at least ${number(least)}${unit}`;
}

function curl(path, methods, access, body) {
  const method = methods.includes("get") ? "GET" : methods[0].toUpperCase();
  const place = path.replaceAll(/\{(\w+)\}/g, (_, name) => name.toUpperCase());
  const parts = [`curl ${method === "GET" ? "" : `-X ${method} `}${location.origin}${place}`];
  if (access !== "anyone") parts.push(`-H "Authorization: Bearer $${access.toUpperCase()}_KEY"`);
  if (body !== undefined) {
    parts.push(`-H "Content-Type: application/json" -d '${JSON.stringify(sample(body))}'`);
  }
  return parts.join(" \\\n  ");
}

/** A small body that a route takes: what is needed, or one thing that can be chosen. */
function sample(schema) {
  const { properties = {}, required = [] } = resolved(schema);
  const names = Object.keys(properties);
  const chosen = names.filter((name) => resolved(properties[name]).enum !== undefined).slice(0, 1);
  const shown = required.length > 0 ? required : chosen.length > 0 ? chosen : names.slice(0, 1);
  return Object.fromEntries(shown.map((name) => [name, value(resolved(properties[name]), name)]));
}

function value(schema, name) {
  if (schema.enum !== undefined) return schema.enum[0];
  switch (schema.type) {
    case "string":
      return name.replaceAll(/([A-Z])/g, "_$1").toUpperCase();
    case "integer":
    case "number":
      return schema.minimum ?? 1;
    case "boolean":
      return true;
    case "array":
      return [];
    default:
      return schema.properties === undefined ? {} : sample(schema);
  }
}

function snippet(text) {
  const code = element("code", {}, text);
  const attributes = { class: "quiet small", type: "button", "aria-label": "Copy the command" };
  const button = element("button", attributes, icon("copy"));
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // No clipboard without https, or without leave: what is selected can be copied by hand.
      getSelection().selectAllChildren(code);
    }
  });
  return element("div", { class: "snippet" }, code, button);
}

/** Shows the routes that hold every word that was typed. */
function find() {
  const words = byId("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  let any = false;
  for (const section of byId("routes").children) {
    let some = false;
    for (const route of section.querySelectorAll("details")) {
      route.hidden = !words.every((word) => route.dataset.find.includes(word));
      some ||= !route.hidden;
    }
    section.hidden = !some;
    any ||= some;
  }
  put(byId("none"), any ? "" : "No route has these words.");
}

/** Opens the route that the address names. */
function unfold() {
  const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (named instanceof HTMLDetailsElement) named.open = true;
  named?.scrollIntoView();
}

function capital(word) {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

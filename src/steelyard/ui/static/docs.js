// Shows /openapi.json to people: one fold an operation, its parameters and its body's fields.
const root = document.getElementById("docs");

function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function typeOf(schema) {
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" or ");
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.type === "array") return `list of ${typeOf(schema.items ?? {})}`;
  return schema.type ?? "any";
}

function table(rows) {
  const head = el("tr", {}, ...["name", "type", "default", "what"].map((t) => el("th", {}, t)));
  const body = rows.map((row) => el("tr", {}, ...row.map((cell) => el("td", {}, cell))));
  return el("table", {}, el("thead", {}, head), el("tbody", {}, ...body));
}

function fields(schema) {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).map(([name, field]) => [
    name,
    typeOf(field),
    required.has(name) ? "required" : field.default === undefined ? "" : JSON.stringify(field.default),
    field.description ?? "",
  ]);
}

function operation(path, method, op, schemas) {
  const fold = el("details", {}, el("summary", {},
    el("span", { class: "method" }, method.toUpperCase()), el("code", {}, path), ` ${op.summary}`));
  if (op.parameters?.length) {
    fold.append(el("h3", {}, "Parameters"), table(op.parameters.map((p) =>
      [p.name, p.in, p.required ? "required" : "", p.description ?? ""])));
  }
  for (const [kind, content] of Object.entries(op.requestBody?.content ?? {})) {
    const ref = content.schema.$ref?.split("/").pop();
    fold.append(el("h3", {}, `Body (${kind})`), table(fields(ref ? schemas[ref] : content.schema)));
  }
  return fold;
}

try {
  const api = await (await fetch("/openapi.json")).json();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, op] of Object.entries(methods)) {
      root.append(operation(path, method, op, api.components.schemas));
    }
  }
} catch (error) {
  root.append(el("p", { role: "alert" }, `The API document could not be loaded: ${error.message}`));
} finally {
  root.setAttribute("aria-busy", "false");
}

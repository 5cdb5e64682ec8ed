// Server-sent events out of a byte stream, as the HTML standard words it: any line ending,
// comments, data over several lines, and cuts anywhere, also inside a character.

/** Yield `{event, data}` (data is text) from a ReadableStream of bytes. */
export async function* readEvents(stream) {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  const pending = { event: "", data: [] };
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
      if (done) rest = rest.replace(/\r$/, "\n"); // a lone CR was held back in case LF followed
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop();
      for (const line of lines) {
        const event = feed(pending, line);
        if (event) yield event;
      }
      if (done) return;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Take one line; return the event that an empty line completes. */
function feed(pending, line) {
  if (line === "") {
    const event = pending.data.length ? { event: pending.event || "message", data: pending.data.join("\n") } : null;
    pending.event = "";
    pending.data = [];
    return event;
  }
  const colon = line.indexOf(":");
  if (colon === 0) return null;
  const field = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
  if (field === "event") pending.event = value;
  else if (field === "data") pending.data.push(value);
  return null;
}

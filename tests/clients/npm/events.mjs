// Server-sent events, read with fetch as they come.

import assert from "node:assert/strict";

export async function* eventsOf(url, token, body) {
  const response = await fetch(url, {
    method: "POST",
    headers: {
      Authorization: `Bearer ${token}`,
      Accept: "text/event-stream",
      "Content-Type": "application/json",
    },
    body: JSON.stringify(body),
  });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type").split(";")[0], "text/event-stream");
  let left = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    left += chunk;
    const frames = left.split("\n\n");
    left = frames.pop();
    yield* frames.filter((frame) => !frame.startsWith(":")).map(parsed);
  }
  assert.equal(left, "");
}

function parsed(frame) {
  const fields = Object.fromEntries(
    frame.split("\n").map((line) => [
      line.slice(0, line.indexOf(": ")),
      line.slice(line.indexOf(": ") + 2),
    ]),
  );
  return { id: Number(fields.id), name: fields.event, data: JSON.parse(fields.data) };
}

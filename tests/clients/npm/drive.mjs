// Drives every endpoint with JSON. What it is told comes in COLLOQUY_CLIENT; its last line tells
// which requests worked. A check that fails ends it with an error.

import assert from "node:assert/strict";
import { Client } from "./canvas.mjs";
import { eventsOf } from "./events.mjs";

const { url, tokens, learner_id: learnerId, limit } = JSON.parse(process.env.COLLOQUY_CLIENT);

const COURSE = "courses/1";
const EXPERIENCES = `${COURSE}/ai_experiences`;
const CONVERSATIONS = `${EXPERIENCES}/1/conversations`;
const STUDENTS = `${EXPERIENCES}/1/ai_conversations`;
const FORBIDDEN = {
  status: "unauthorized",
  errors: [{ message: "user not authorized to perform that action" }],
};
const NOT_FOUND = { error: "Resource Not Found" };
const DRAFT = {
  title: "Why the stars move",
  learning_objective: "Find the pole star\nExplain its place",
  pedagogical_guidance: "Look up first.",
};

const made = [];
const by = (name) => new Client(url, tokens[name] ?? name, made);
const learner = by("learner");
const teacher = by("teacher");

async function converse() {
  assert.deepEqual(await learner.get(CONVERSATIONS), {});
  const opened = await learner.post(CONVERSATIONS, undefined, 201);
  assert.deepEqual(await learner.get(CONVERSATIONS), opened);
  const words = "Ebbe + Flut 🌊\n\"50 %\"";
  const said = await learner.post(`${CONVERSATIONS}/${opened.id}/messages`, { message: words });
  assert.equal(said.messages.at(-2).text, words);
  assert.equal(said.messages.at(-1).role, "Assistant");
  const whole = await learner.get(`${CONVERSATIONS}/${opened.id}`);
  assert.deepEqual(whole.messages, said.messages);
  assert.equal(whole.user_id, String(learnerId));
  return said;
}

const LAST_ID = 999999999; // of every turn's last event

async function streamAReply(number) {
  const events = [];
  const path = `${url}/api/v1/${CONVERSATIONS}/${number}/messages`;
  for await (const event of eventsOf(path, tokens.learner, { message: "Why?" })) {
    events.push(event);
  }
  const ids = events.slice(0, -1).map((_, index) => index + 1);
  assert.deepEqual(events.map((event) => event.id), [...ids, LAST_ID]);
  assert.equal(events[0].name, "accepted");
  const pieces = events.filter((event) => event.name === "delta").map((event) => event.data.text);
  const { name, data } = events.at(-1);
  assert.equal(name, "done");
  assert.equal(data.messages.at(-1).text, pieces.join(""));
  assert.deepEqual(await learner.get(CONVERSATIONS), data);
}

async function stopAReply(number) {
  const messages = `${CONVERSATIONS}/${number}/messages`;
  const stream = eventsOf(`${url}/api/v1/${messages}`, tokens.learner, { message: "Hold on" });
  const accepted = (await stream.next()).value;
  assert.equal((await stream.next()).value.name, "delta");
  const { turn_id: turnId } = accepted.data;
  const busy = await learner.refused(409, "POST", messages, { message: "And now?" });
  assert.equal(busy.code, "turn_in_progress");
  assert.equal(busy.turn_id, turnId);
  const turn = `${CONVERSATIONS}/${number}/turns/${turnId}`;
  const stopped = await learner.post(`${turn}/cancel`);
  const last = (await stream.next()).value;
  assert.equal(last.name, "error");
  assert.equal(last.data.code, "turn_cancelled");
  assert.deepEqual(await learner.get(CONVERSATIONS), stopped);
  const again = await learner.call("GET", `${turn}/stream`);
  assert.match(again.text, /event: error\n/);
  const held = stopped.messages.find((message) => message.text === "Hold on");
  assert.equal(held.state, "stopped");
  const answered = await learner.post(`${turn}/retry`);
  assert.equal(answered.messages.at(-2).text, "Hold on");
  assert.equal(answered.messages.at(-2).state, undefined);
}

async function vote(conversation) {
  const one = `${CONVERSATIONS}/${conversation.id}`;
  const path = `${one}/messages/${conversation.messages.at(-1).id}/feedback`;
  const { feedback } = await learner.post(path, { vote: "disliked", feedback_message: "Too short" });
  const shown = async () =>
    (await learner.get(one)).messages.find((m) => m.id === conversation.messages.at(-1).id).feedback;
  assert.deepEqual(await shown(), [feedback]);
  const gone = await learner.call("DELETE", `${path}/${feedback.id}`);
  assert.deepEqual(gone.json, { success: true });
  assert.deepEqual(await shown(), []);
}

async function review(number) {
  const pages = await teacher.pages(STUDENTS, { per_page: 2 });
  const students = pages.flatMap((page) => page.json.conversations);
  assert.ok(pages.length > 1);
  assert.ok(pages.slice(0, -1).every((page) => page.json.conversations.length === 2));
  const [listed] = students.filter((one) => one.user_id === String(learnerId));
  assert.equal(listed.id, number);
  await teacher.get(STUDENTS);
  assert.equal((await teacher.get(`${STUDENTS}/${number}`)).student.id, learnerId);
  const evaluation = `${CONVERSATIONS}/${number}/evaluation`;
  assert.equal((await teacher.get(evaluation)).evaluation, null);
  const judged = await teacher.post(evaluation, {});
  assert.deepEqual(await teacher.get(evaluation), { ...judged, stale: false });
}

async function teach() {
  const created = await teacher.post(EXPERIENCES, { ai_experience: DRAFT }, 201);
  const one = `${EXPERIENCES}/${created.id}`;
  const changes = { title: "Why they seem to" };
  const edited = (await teacher.call("PUT", one, changes)).json;
  assert.deepEqual(edited, { ...created, ...changes });
  assert.deepEqual(await teacher.get(one), edited);
  const deleted = (await teacher.call("DELETE", one)).json;
  assert.equal(deleted.workflow_state, "deleted");
  assert.deepEqual(await teacher.refused(404, "GET", one), NOT_FOUND);
}

async function followPages() {
  const titles = ["Night 1", "Night 2", "Night 3", "Night 4", "Night 5"];
  for (const title of titles) await teacher.post(EXPERIENCES, { ...DRAFT, title }, 201);
  const query = { per_page: 2, workflow_state: "unpublished" };
  const listed = await teacher.items(EXPERIENCES, query);
  assert.deepEqual(listed.slice(-5).map((item) => item.title), titles);
  assert.ok(listed.every((item) => item.workflow_state === "unpublished"));
  assert.ok((await teacher.get(EXPERIENCES)).length > titles.length);
}

async function beRefused(number) {
  const messages = `${CONVERSATIONS}/${number}/messages`;
  const required = { error: "message is required" };
  assert.deepEqual(await learner.refused(400, "POST", messages, {}), required);
  const long = { error: "message must be 4000 characters or fewer" };
  assert.deepEqual(await learner.refused(422, "POST", messages, { message: "x".repeat(4001) }), long);
  const plain = { error: "the body must be application/json or application/x-www-form-urlencoded" };
  assert.deepEqual(await learner.refused(415, "POST", messages, "plain text"), plain);
  const { errors } = await teacher.refused(400, "POST", EXPERIENCES, { title: 7 });
  assert.deepEqual(errors.title, [{ message: "must be text" }]);
  const unknown = { errors: [{ message: "Invalid access token." }] };
  assert.deepEqual(await by("nobody's").refused(401, "GET", CONVERSATIONS), unknown);
  const scope = { errors: [{ message: "Insufficient scopes on access token." }] };
  assert.deepEqual(await by("reader").refused(401, "GET", EXPERIENCES), scope);
  assert.deepEqual(await learner.refused(403, "POST", EXPERIENCES, DRAFT), FORBIDDEN);
  assert.deepEqual(await learner.refused(404, "GET", `${CONVERSATIONS}/x`), NOT_FOUND);
  const elsewhere = await learner.refused(404, "GET", "nowhere");
  assert.deepEqual(elsewhere, NOT_FOUND);
}

async function actAsTheLearner() {
  const as = `${CONVERSATIONS}?as_user_id=${learnerId}`;
  assert.deepEqual(await by("admin").get(as), await learner.get(CONVERSATIONS));
  assert.deepEqual(await teacher.refused(403, "GET", as), FORBIDDEN);
}

async function useUpTheDay() {
  const busy = by("busy");
  for (let count = 0; count < limit; count += 1) await busy.post(CONVERSATIONS, {}, 201);
  assert.equal((await busy.refused(429, "POST", CONVERSATIONS, {})).code, "rate_limited");
}

const conversation = await converse();
await streamAReply(conversation.id);
await stopAReply(conversation.id);
await vote(conversation);
await review(conversation.id);
await teach();
await followPages();
await beRefused(conversation.id);
await actAsTheLearner();
await useUpTheDay();
const ended = await learner.call("DELETE", `${CONVERSATIONS}/${conversation.id}`);
assert.deepEqual(ended.json, { message: "Conversation completed successfully" });
assert.match((await learner.get("openapi.json")).openapi, /^3\./);
console.log(JSON.stringify(made));

// SPDX-License-Identifier: MIT
// The page of chat: joins a room, and comes back where it was when the
// connection breaks.  What others have typed is only ever set as text.
"use strict";

const $ = (id) => document.getElementById(id);
const RETRY_FIRST_MS = 250;
const RETRY_MOST_MS = 15000;
const TYPING_EVERY_MS = 2000;
const TYPING_LASTS_MS = 4000;
const CONTENT_MAX = 1000;
const LOG_MOST = 500;

const room = {
  name: "",
  me: "",            // our user id
  socket: null,
  ended: true,       // nobody wants to be connected
  tries: 0,
  timer: 0,
  last: "",          // position of the last message that we have
  seen: new Set(),   // ids of messages, so that none is shown twice
  typing: new Map(), // user id -> {name, until}
  spoke: new Map(),  // user id -> when, by the server's clock
  typedAt: 0,
  unread: 0,
  follows: true,     // the log shows its end, and goes on doing so
  size: "",          // of the log, when it was last looked at
};

// The server escapes what people type; here it becomes text again, in one go,
// so that "&amp;lt;" is "&lt;".
const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" };
function plain(text) {
  return String(text ?? "").replace(/&(amp|lt|gt|quot|#39);/g,
    (_, name) => ENTITIES[name]);
}

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className)
    node.className = className;
  if (text !== undefined)
    node.textContent = text;
  return node;
}

function face(id, name) {
  const node = element("span", "face", [...name.trim()][0]?.toUpperCase());
  let hue = 7;
  for (const c of id)
    hue = (hue * 31 + c.codePointAt(0)) % 360;
  node.style.setProperty("--hue", hue);
  node.setAttribute("aria-hidden", "true");
  return node;
}

function setState(state, text) {
  document.body.dataset.state = state;
  $("status").textContent = text;
  $("send").disabled = state !== "connected";
  $("again").hidden = state !== "ended";
}

// --- the log ---

function isAtEnd() {
  const log = $("log");
  return log.scrollHeight - log.scrollTop - log.clientHeight < 80;
}

function toEnd() {
  room.follows = true;
  $("log").scrollTop = $("log").scrollHeight;
  $("newest").hidden = true;
}

// Who was at the end stays there: when the field grows, or a phone's keyboard
// takes half of the window.
new ResizeObserver(() => {
  room.size = sizeOfLog();
  if (room.follows)
    toEnd();
}).observe($("log"));

function sizeOfLog() {
  return `${$("log").clientWidth}x${$("log").clientHeight}`;
}

function append(node) {
  const log = $("log"), follow = room.follows;
  log.append(node);
  while (log.childElementCount > LOG_MOST)
    log.firstElementChild.remove();
  if (follow)
    toEnd();
  else
    $("newest").hidden = false;
}

function tell(text, className = "break") {
  append(element("p", className, text));
}

function countUnread() {
  room.unread = document.hidden ? room.unread + 1 : 0;
  document.title = (room.unread > 0 ? `(${room.unread}) ` : "") +
    `#${room.name} - corelane chat`;
}

function contentOf(message) {
  const text = plain(message.content), node = element("div", "what");
  if (message.message_type === "Text" || !/^https?:\/\/\S+$/i.test(text)) {
    node.textContent = text;
    return node;
  }
  const link = element("a", "", text);
  link.href = text;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  node.append(`${message.message_type}: `, link);
  return node;
}

function showMessage(message) {
  if (room.seen.has(message.id))
    return;
  room.seen.add(message.id);
  if (message.message_type === "System") {
    tell(plain(message.content), "system");
    return;
  }
  const name = plain(message.username), item = element("div", "message");
  const before = $("log").lastElementChild;
  const when = new Date(message.timestamp * 1000);
  const by = element("div", "by"), time = element("time", "",
    when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  time.dateTime = when.toISOString();
  item.dataset.user = message.user_id;
  item.dataset.id = message.id;
  item.classList.toggle("own", message.user_id === room.me);
  item.classList.toggle("more", before?.dataset.user === message.user_id);
  by.append(element("b", "", name), time);
  item.append(face(message.user_id, name), by, contentOf(message));
  append(item);
  room.typing.delete(message.user_id);
  showTyping();
  countUnread();
}

// --- people ---

function showPeople(members) {
  const known = new Map();
  for (const m of members)
    known.set(m.user_id, plain(m.info?.username ?? m.user_id));
  const list = [...known].sort((a, b) => a[1].localeCompare(b[1]));
  $("count").textContent = list.length;
  $("people").replaceChildren(...list.map(([id, name]) => {
    const item = element("li", id === room.me ? "me" : "");
    item.append(face(id, name), element("span", "who",
      id === room.me ? `${name} (you)` : name));
    return item;
  }));
}

let asking = 0;
function askWho() {
  clearTimeout(asking);
  asking = setTimeout(() => send({ type: "who" }), 100);
}

function showTyping() {
  const now = Date.now(), names = [];
  for (const [id, who] of room.typing) {
    if (who.until <= now)
      room.typing.delete(id);
    else
      names.push(who.name);
  }
  $("typing").textContent = names.length === 0 ? ""
    : names.length > 3 ? "Several people are typing..."
    : `${names.join(", ")} ${names.length > 1 ? "are" : "is"} typing...`;
}
setInterval(showTyping, 1000);

// --- the connection ---

function send(message) {
  if (room.socket?.readyState !== WebSocket.OPEN)
    return false;
  room.socket.send(JSON.stringify(message));
  return true;
}

function onWelcome(got) {
  room.tries = 0;
  room.me = got.user_id;
  sessionStorage.setItem("chat.user", got.user_id);
  setState("connected", "connected");
  // What was missed comes next, each with its own position.
  if (got.missed === 0)
    room.last = got.position;
  if (got.resumed && !got.recovered)
    tell("Some messages were lost while you were away", "break lost");
  else if (got.resumed && got.missed > 0)
    tell(`Back again: ${got.missed} missed`);
  askWho();
}

// Of two channels the order is nobody's: who has spoken since types no more.
function onLive(data, time) {
  if (data.typing === undefined || data.typing === room.me ||
      time <= (room.spoke.get(data.typing) ?? 0))
    return;
  room.typing.set(data.typing,
    { name: plain(data.username), until: Date.now() + TYPING_LASTS_MS });
  showTyping();
}

function onMessage(got) {
  switch (got.type) {
  case "welcome":
    onWelcome(got);
    break;
  case "message":
    if (got.channel === `chat.live.${room.name}`) {
      onLive(got.data, got.time);
      break;
    }
    room.last = got.id;
    room.spoke.set(got.data.user_id, got.time);
    showMessage(got.data);
    break;
  case "join":
  case "leave":
    askWho();
    break;
  case "presence":
    showPeople(got.members);
    break;
  case "error":
    tell(got.message);
    break;
  }
}

// 3500 to 3999: the server wants us to stay away.
function onClose(event) {
  room.socket = null;
  if (room.ended)
    return;
  if (event.code >= 3500 && event.code <= 3999) {
    room.ended = true;
    setState("ended", event.reason || "closed by the server");
    return;
  }
  retry();
}

// Later each time, and not all at once: half of the wait is chance.
function retry() {
  const most = Math.min(RETRY_MOST_MS, RETRY_FIRST_MS * 2 ** room.tries++);
  const ms = most / 2 + Math.random() * most / 2;
  setState("waiting", "reconnecting");
  clearTimeout(room.timer);
  room.timer = setTimeout(connect, ms);
}

function connect() {
  clearTimeout(room.timer);
  if (room.ended || room.socket !== null)
    return;
  const url = new URL("socket", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.search = "";
  url.hash = "";
  url.searchParams.set("room", room.name);
  const name = $("name").value.trim();
  const user = sessionStorage.getItem("chat.user") ?? "";
  if (name !== "")
    url.searchParams.set("name", name);
  if (/^anonymous_\d{8}$/.test(user))
    url.searchParams.set("user", user);
  if (room.last !== "")
    url.searchParams.set("since", room.last);
  const socket = new WebSocket(url);
  room.socket = socket;
  socket.onmessage = (event) => onMessage(JSON.parse(event.data));
  socket.onclose = (event) => {
    if (room.socket === socket)
      onClose(event);
  };
}

function join() {
  room.name = $("room").value;
  room.ended = false;
  room.tries = 0;
  room.last = "";
  room.seen.clear();
  room.typing.clear();
  room.spoke.clear();
  room.follows = true;
  $("log").replaceChildren();
  $("title").textContent = room.name;
  $("door").hidden = true;
  $("chat").hidden = false;
  localStorage.setItem("chat.name", $("name").value.trim());
  setState("waiting", "connecting");
  countUnread();
  connect();
  $("text").focus();
}

function leave() {
  room.ended = true;
  clearTimeout(room.timer);
  room.socket?.close(1000);
  room.socket = null;
  setState("idle", "");
  $("chat").hidden = true;
  $("door").hidden = false;
  $("name").focus();
}

// --- what people do ---

function countLeft() {
  const left = CONTENT_MAX - [...$("text").value].length;
  $("left").textContent = left <= 200 ? left : "";
  $("left").classList.toggle("near", left <= 20);
}

function showKind() {
  $("text").placeholder = $("kind").value === "Text" ? "Message" :
    `Address of the ${$("kind").value.toLowerCase()}: https://...`;
}
$("kind").addEventListener("change", showKind);

function grow() {
  $("text").style.height = "auto";
  $("text").style.height = `${$("text").scrollHeight + 2}px`;
}

$("door").addEventListener("submit", (event) => {
  event.preventDefault();
  join();
});

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const content = $("text").value;
  if (content.trim() === "" || !send(
    { type: "message", content, message_type: $("kind").value }))
    return;
  $("text").value = "";
  $("kind").value = "Text";
  showKind();
  room.typedAt = 0;
  countLeft();
  grow();
  toEnd();
});

$("text").addEventListener("input", () => {
  countLeft();
  grow();
  if (Date.now() - room.typedAt < TYPING_EVERY_MS || $("text").value === "")
    return;
  room.typedAt = Date.now();
  send({ type: "typing" });
});

// Enter sends, with Shift it is a new line; not while a word is composed.
$("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing)
    return;
  event.preventDefault();
  $("composer").requestSubmit();
});

$("log").addEventListener("scroll", () => {
  if (room.size === sizeOfLog())
    room.follows = isAtEnd();    // else it has moved by itself
  if (room.follows)
    $("newest").hidden = true;
});
$("newest").addEventListener("click", toEnd);
$("leave").addEventListener("click", leave);
$("again").addEventListener("click", () => {
  room.ended = false;
  room.tries = 0;
  setState("waiting", "connecting");
  connect();
});

// No need to wait once there is a network again, or somebody looks.
function hurry() {
  if (!room.ended && room.socket === null) {
    room.tries = 0;
    connect();
  }
}
addEventListener("online", hurry);
document.addEventListener("visibilitychange", () => {
  if (document.hidden)
    return;
  countUnread();
  hurry();
});

// /chat/?room=lobby&name=Ada goes straight in.
const asked = new URLSearchParams(location.search);
$("name").value = asked.get("name") ?? localStorage.getItem("chat.name") ?? "";
if (asked.get("room") !== null)
  $("room").value = asked.get("room");
if (asked.get("name") !== null && $("door").checkValidity())
  join();

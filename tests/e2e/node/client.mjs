// One conversation with npm's socket.io-client: usage: node client.mjs URL CONVERSATION LATEST TRANSPORTS MESSAGE WAIT_FOR [PATH]
// Sends MESSAGE (if not empty), prints every event and every status update as a JSON line, ends WAIT_FOR events later or after 15 s.
import { io } from "socket.io-client";

const [url, conversation_id, latest_event_id, transports, message, waitFor, path] = process.argv.slice(2);
const socket = io(url, {
  transports: transports.split(","),
  query: { conversation_id, latest_event_id },
  reconnection: false,
  ...(path ? { path } : {}),
});
const out = (line) => process.stdout.write(JSON.stringify(line) + "\n");
let seen = 0;
const end = (code) => {
  const transport = socket.io.engine?.transport?.name;
  socket.disconnect();
  out({ transport });
  process.exitCode = code;
  setTimeout(() => process.exit(code), 200);
};
const deadline = setTimeout(() => end(3), 15000);
socket.on("connect_error", (error) => { out({ connect_error: error.message }); clearTimeout(deadline); end(2); });
socket.on("connect", () => {
  if (message) {
    socket.emit("oh_user_action", { action: "message", args: { content: message } }, (...ack) => out({ ack }));
  }
});
socket.on("oh_event", (event) => {
  if (event.status_update) {
    out({ status: event });
    return;
  }
  out({ event });
  seen += 1;
  if (seen === Number(waitFor)) {
    clearTimeout(deadline);
    setTimeout(() => end(0), 300);
  }
});

// npm's socket.io-client against examples/echo: usage: node echo.mjs URL TRANSPORTS SCENARIO. Prints JSON lines.
import { NodeWebSocket, NodeXHR } from "engine.io-client";
import { io } from "socket.io-client";

const [url, transports, scenario] = process.argv.slice(2);

class LateWebSocket extends NodeWebSocket {
  // So that there is something to say before the upgrade.
  doOpen() {
    setTimeout(() => super.doOpen(), scenario === "many" ? 100 : 0);
  }
}
const known = { polling: NodeXHR, websocket: LateWebSocket };
const out = (line) =>
  process.stdout.write(JSON.stringify(line, (_, value) => (value?.type === "Buffer" ? { hex: Buffer.from(value.data).toString("hex") } : value)) + "\n");
const options = { transports: transports.split(",").map((name) => known[name]), query: { who: "npm" }, auth: { token: "123" }, reconnectionDelay: 200 };
const socket = io(url, options);
const once = (name, from = socket) => new Promise((resolve) => from.once(name, (...args) => resolve(args)));
const end = () => {
  socket.disconnect();
  clearTimeout(deadline);
  setTimeout(() => process.exit(0), 200);
};
const deadline = setTimeout(() => process.exit(3), 30000);

const scenarios = {
  async talk() {
    out({ auth: await once("auth") });
    socket.emit("message", 1, "é\u001e\u2028", { a: [null, true] });
    out({ back: await once("message-back") });
    out({ ack: await socket.emitWithAck("message-with-ack", "only one") });
    out({ query: (await socket.emitWithAck("query")).who });
    const blob = Buffer.from([0, 255, 30]);
    socket.emit("message", blob, { deep: [blob] });
    out({ binary: await once("message-back") });
    out({ binaryAck: await socket.emitWithAck("message-with-ack", blob) });
    socket.once("question", (...args) => args.pop()(...args, blob));
    socket.emit("ask", "well?", blob);
    out({ answer: await once("answer") });
    const custom = socket.io.socket("/custom", { auth: { token: "abc" } });
    out({ customAuth: await once("auth", custom) });
    custom.emit("message", "there");
    out({ customBack: await once("message-back", custom) });
    const stranger = socket.io.socket("/nowhere");
    out({ refused: (await once("connect_error", stranger))[0].message });
    custom.disconnect();
    out({ still: await socket.emitWithAck("message-with-ack", "here") });
    out({ transport: socket.io.engine.transport.name });
  },
  async many() {
    const seen = [];
    const all = new Promise((resolve) => socket.on("message-back", (n) => seen.push(n) === 1000 && resolve()));
    await once("connect");
    const began = socket.io.engine.transport.name;
    for (let n = 0; n < 1000; n++) {
      socket.emit("message", n);
      // For a while longer than the upgrade takes.
      if (n % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await all;
    out({ began, ended: socket.io.engine.transport.name, inOrder: seen.every((n, index) => n === index) });
  },
  async back() {
    await once("connect");
    out({ connected: 1 });
    out({ lost: (await once("disconnect"))[0] });
    await once("connect");
    out({ back: await socket.emitWithAck("message-with-ack", "again"), query: (await socket.emitWithAck("query")).who });
  },
  async left() {
    for (const how of ["namespace", "all", "drop"]) {
      await once("connect");
      socket.emit("leave", how);
      out({ how, reason: (await once("disconnect"))[0], active: socket.active });
      if (!socket.active) socket.connect();
    }
    await once("connect");
  },
};
await scenarios[scenario]();
end();

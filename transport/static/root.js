// Where this server is, as the browser has it: a proxy may show it below a path of its own.

const prefix = new URL("..", import.meta.url).pathname.slice(0, -1);

/** The address of a path of the server's. */
export const at = (path) => prefix + path;

/** Which path of the server's the page is at. */
export const path = () => location.pathname.slice(prefix.length);

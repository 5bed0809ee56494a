// The transport of a browser.

import type { OpenTransport } from "./transport.ts";

const SUBPROTOCOL = "chatterbox.v1.json";

/** What a WebSocket reports when it never got a close frame. */
const CLOSED_ABNORMALLY = 1006;

export function webSocketTransport(address: string): OpenTransport {
  return (events) => {
    const socket = new WebSocket(address, SUBPROTOCOL);
    let over = false;
    const end = (code: number, reason: string) => {
      if (over) return;
      over = true;
      events.closed(code, reason);
    };
    socket.onmessage = (message) => {
      if (!over && typeof message.data === "string") events.received(message.data);
    };
    socket.onclose = (close) => end(close.code || CLOSED_ABNORMALLY, close.reason);
    return {
      send: (text) => {
        if (socket.readyState === WebSocket.OPEN) socket.send(text);
      },
      close: (code, reason) => {
        socket.close(code, reason);
        // The closing handshake with a peer that is gone takes a minute; nobody waits for it.
        end(code, reason);
      },
    };
  };
}

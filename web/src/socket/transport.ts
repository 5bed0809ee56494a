// One socket, as the connection sees it.

export interface TransportEvents {
  received(text: string): void;
  /** Called once, also when the socket could never be opened. Nothing follows it. */
  closed(code: number, reason: string): void;
}

export interface Transport {
  send(text: string): void;
  close(code: number, reason: string): void;
}

export type OpenTransport = (events: TransportEvents) => Transport;

// Client ids: UUIDv7, hyphenated, lower case. Made once per message and kept until the ack.
// Not `crypto.randomUUID`, which makes version 4 and is absent on plain-HTTP pages.

export type RandomBytes = (length: number) => Uint8Array;

export function makeCid(now_ms: number, randomBytes: RandomBytes): string {
  const time = Math.max(0, Math.floor(now_ms)).toString(16).padStart(12, "0");
  const bytes = randomBytes(10);
  const version = 0x70 | ((bytes[0] ?? 0) & 0x0f);
  const variant = 0x80 | ((bytes[2] ?? 0) & 0x3f);
  const rest = Array.from(bytes, (byte, index) =>
    hex(index === 0 ? version : index === 2 ? variant : byte),
  ).join("");
  return [time.slice(0, 8), time.slice(8), rest.slice(0, 4), rest.slice(4, 8), rest.slice(8)].join(
    "-",
  );
}

export const browserRandomBytes: RandomBytes = (length) =>
  crypto.getRandomValues(new Uint8Array(length));

function hex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

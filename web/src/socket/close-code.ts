// Close codes carry the verdict (docs/protocol.md, section 3).

export const CLOSE_IDLE = 4400;
export const CLOSE_GOING_AWAY = 1000;
export const CLOSE_BAD_REQUEST = 4500;
export const CLOSE_UNAUTHENTICATED = 4501;

/** Codes outside 4500–4999 are the network's or say so themselves: try again. */
export function isFinal(code: number): boolean {
  return code >= 4500 && code <= 4999;
}

// The bounds of the sync core, each with its reason.

/** Longer missing ranges become an explicit gap: the same rule as the gateway's replay. */
export const REPLAY_EVENTS_MAX = 500;

/** What is fetched at once behind such a gap: a screen and what scrolls into it. */
export const REPLAY_EVENTS_AFTER_GAP = 50;

/** The gateway's own limit for one page. */
export const PAGE_EVENTS_MAX = 200;

/** One scroll to the top loads so many. */
export const SCROLL_PAGE_EVENTS = 100;

/** Live events that wait for a missing range. More than this is fetched again instead. */
export const HELD_EVENTS_MAX = 512;

/** Loaded events of one room in memory; older ones become a gap again. */
export const ROOM_EVENTS_MAX = 2_000;

/** Trimmed to fewer than that, so that not every event trims. */
export const ROOM_EVENTS_KEPT = 1_500;

/** A read marker is told at most once in this time, per room. */
export const MARK_MS_MIN = 1_000;

/** What is loaded around a message that somebody jumps to, on each side. */
export const JUMP_EVENTS_AROUND = 50;

/** The gateway answers within 5 s even without a quorum; what takes longer was lost. */
export const ANSWER_MS_MAX = 10_000;

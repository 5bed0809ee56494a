// Which tab sends a message. Each tab sends what was written in it and holds a lock as long as it
// lives; when a tab is gone, its lock is free, and whoever gets it adopts its messages. So two
// tabs do not send one message twice, and none waits for a tab that nobody will open again.
//
// Web Locks exist only on secure pages (HTTPS or localhost). Elsewhere every tab adopts at once:
// the same `cid` may travel twice then, and the state machine lets it take effect once.

import type { Cancel } from "../clock/clock.ts";

export interface Tabs {
  /** This tab, for as long as the page lives. */
  readonly own: string;
  /** Calls `adopt` once, when the tab `owner` is gone; one tab at a time until it has settled. */
  whenGone(owner: string, adopt: () => Promise<void>): Cancel;
}

export function browserTabs(own: string): Tabs {
  const locks: LockManager | undefined = navigator.locks;
  if (locks === undefined) {
    return {
      own,
      whenGone: (_owner, adopt) => {
        void adopt().catch(() => {});
        return () => {};
      },
    };
  }
  // Never resolved: held until the browser ends the page.
  void locks.request(lockName(own), () => new Promise<void>(() => {}));
  return {
    own,
    whenGone: (owner, adopt) => {
      const abandon = new AbortController();
      locks.request(lockName(owner), { signal: abandon.signal }, adopt).catch(() => {
        // Aborted by `Cancel`, or the storage failed: the next start tries again.
      });
      return () => abandon.abort();
    },
  };
}

function lockName(tab: string): string {
  return `chatterbox-tab-${tab}`;
}

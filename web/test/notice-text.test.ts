// The words for what the log tells of the cluster, in both languages.

import assert from "node:assert/strict";
import { test } from "node:test";

import type { Notice } from "../src/generated/frames.ts";
import { de } from "../src/i18n/de.ts";
import { en } from "../src/i18n/en.ts";
import { duration, noticeText } from "../src/view/notice-text.ts";

const cases: [Notice, string, string][] = [
  [
    { what: "elected", node: 3, ballot: "4.3", epoch: 1, previous: 1, gap_ms: 380 },
    "r3 leads (ballot 4.3), 380 ms without a leader",
    "r3 führt (Ballot 4.3), 380 ms ohne Leader",
  ],
  [
    { what: "elected", node: 1, ballot: "1.1", epoch: 1 },
    "r1 leads (ballot 1.1)",
    "r1 führt (Ballot 1.1)",
  ],
  [
    { what: "silent", node: 2, for_ms: 2_060 },
    "r2 has been silent for 2.1 s",
    "r2 schweigt seit 2,1 s",
  ],
  [
    { what: "heard", node: 2, after_ms: 34_400 },
    "r2 is heard again, after 34 s",
    "r2 ist wieder zu hören, nach 34 s",
  ],
  [{ what: "heard", node: 2 }, "r2 is heard again", "r2 ist wieder zu hören"],
  [
    { what: "voters", epoch: 3, voters: [1, 3, 1030], added: [1030], removed: [2] },
    "r1030 votes in place of r2 (epoch 3: r1, r3, and r1030)",
    "r1030 stimmt ab an Stelle von r2 (Epoche 3: r1, r3 und r1030)",
  ],
  [
    { what: "voters", epoch: 4, voters: [1], added: [], removed: [3] },
    "r3 votes no more (epoch 4: r1)",
    "r3 stimmt nicht mehr ab (Epoche 4: r1)",
  ],
  [
    { what: "voters", epoch: 2, voters: [1, 2], added: [], removed: [] },
    "The voters stay as they are (epoch 2: r1 and r2)",
    "Wer abstimmt, bleibt gleich (Epoche 2: r1 und r2)",
  ],
];

test("each notice has its words in each language", () => {
  for (const [notice, english, german] of cases) {
    assert.equal(noticeText(notice, en.notices, "en"), english);
    assert.equal(noticeText(notice, de.notices, "de"), german);
  }
});

test("a time is as exact as a person needs it", () => {
  const shown = [0, 999, 1_000, 9_999, 10_000, 119_999, 120_000, 720_000];
  assert.deepEqual(
    shown.map((ms) => duration(ms, "en")),
    ["0 ms", "999 ms", "1 s", "10 s", "10 s", "120 s", "2 min", "12 min"],
  );
});

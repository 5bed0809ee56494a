// Goal: the line stays inside of its box and goes through every figure.

import assert from "node:assert/strict";
import test from "node:test";

import fc from "fast-check";

import { sparkline } from "../src/view/sparkline.ts";

test("highest at the top, nothing at the bottom", () => {
  assert.equal(sparkline([0, 10, 5], 100, 22), "M0 21L50 1L100 11");
  assert.equal(sparkline([], 100, 22), "");
  assert.equal(sparkline([7], 100, 22), "M0 1");
});

test("property: every point lies in the box", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 1e6 }), { minLength: 1 }), (values) => {
      const points = sparkline(values, 240, 40).split(/(?=[ML])/);
      assert.equal(points.length, values.length);
      for (const point of points) {
        const [x = NaN, y = NaN] = point.slice(1).split(" ").map(Number);
        assert.ok(x >= 0 && x <= 240 && y >= 1 && y <= 39, point);
      }
    }),
  );
});

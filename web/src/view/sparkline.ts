// A line through some figures. Pure. Tests: test/sparkline.test.ts

/** The `d` of an SVG path: the first figure at the left edge, the highest at the top, 0 below. */
export function sparkline(values: readonly number[], width: number, height: number): string {
  const highest = Math.max(...values, 1);
  const step = values.length > 1 ? width / (values.length - 1) : 0;
  const inner = height - 2;
  return values
    .map((value, index) => {
      const y = 1 + inner - (Math.max(0, value) / highest) * inner;
      return `${index === 0 ? "M" : "L"}${round(index * step)} ${round(y)}`;
    })
    .join("");
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

// A person as a letter on a colour: the one that the person chose, or one that follows from the
// account's number.

/** Consecutive numbers get hues far apart (the golden angle). */
const HUE_STEP = 137.508;
const HUE_FIRST = 40;

/** The palette that a person can choose from. */
export const COLOURS: readonly number[] = Array.from({ length: 12 }, (_, index) => index + 1);

export function hueOf(id: number, colour = 0): number {
  if (colour > 0) return Math.round(((colour - 1) * 360) / COLOURS.length);
  return Math.round((id * HUE_STEP + HUE_FIRST) % 360);
}

export function Avatar({ id, name, colour }: { id: number; name: string; colour?: number }) {
  return (
    <span class="avatar" aria-hidden="true" style={{ "--hue": String(hueOf(id, colour)) }}>
      {[...name.trim()][0]?.toLocaleUpperCase() ?? "?"}
    </span>
  );
}

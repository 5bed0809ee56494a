// A person as a letter on a colour that follows from the account's number.

/** Consecutive numbers get hues far apart (the golden angle). */
const HUE_STEP = 137.508;

export function Avatar({ id, name }: { id: number; name: string }) {
  const hue = Math.round((id * HUE_STEP + 40) % 360);
  return (
    <span class="avatar" aria-hidden="true" style={{ "--hue": String(hue) }}>
      {[...name.trim()][0]?.toLocaleUpperCase() ?? "?"}
    </span>
  );
}

// Which addresses a person may click. Pure. Tests: test/markdown.test.ts

const SCHEMES = new Set(["http:", "https:", "mailto:"]);

/** The address as the browser understands it; nothing for any other scheme, or no address at all. */
export function safeAddress(text: string): string | undefined {
  try {
    // No base: what is not absolute would lead into this page.
    const address = new URL(text);
    if (!SCHEMES.has(address.protocol)) return undefined;
    // A name before the host is there to be taken for the host.
    if (address.username !== "" || address.password !== "") return undefined;
    return address.href;
  } catch {
    return undefined;
  }
}

// Starts the service worker. Only on secure pages (HTTPS or localhost); elsewhere the page works
// without, but does not start without a network.

const WORKER = "/sw.js";

interface TrustedTypes {
  createPolicy(
    name: string,
    rules: { createScriptURL(url: string): string },
  ): { createScriptURL(url: string): string };
}

export function registerServiceWorker(): void {
  const container: ServiceWorkerContainer | undefined = navigator.serviceWorker;
  // In the development server there is no worker.
  if (container === undefined || !import.meta.env.PROD) return;
  void container.register(workerAddress()).catch(() => {
    // A private window may refuse: then there is no start without a network.
  });
}

/** The page's only policy: it lets this one address through. */
function workerAddress(): string {
  const types = (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes;
  if (types === undefined) return WORKER;
  return types
    .createPolicy("service-worker", { createScriptURL: () => WORKER })
    .createScriptURL(WORKER);
}

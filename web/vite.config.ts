import { defineConfig } from "vite";

export default defineConfig({
  build: {
    // The browsers that know `light-dark()`, so that the style sheet is shipped as written.
    target: ["chrome123", "firefox120", "safari17.5"],
    // The content security policy allows neither inline scripts nor data: addresses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rollupOptions: {
      input: { index: "index.html", sw: "src/service-worker/worker.ts" },
      // The worker is asked for by this name, and rules over what lies below it.
      output: { entryFileNames: ({ name }) => (name === "sw" ? "sw.js" : "assets/[name]-[hash].js") },
    },
  },
  server: {
    // A gateway on this machine answers what the development server does not have. It checks
    // that `Origin` equals `Host`, hence the rewritten header.
    proxy: {
      "/api": {
        target: "http://localhost:1050",
        headers: { Origin: "http://localhost:1050" },
        changeOrigin: true,
      },
      "/ws": {
        target: "http://localhost:1050",
        headers: { Origin: "http://localhost:1050" },
        changeOrigin: true,
        ws: true,
      },
    },
  },
});

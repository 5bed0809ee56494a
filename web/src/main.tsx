import { render } from "preact";

import { registerServiceWorker } from "./service-worker/register.ts";
import { ask } from "./store/session.ts";
import { App } from "./view/app.tsx";
import "./view/styles/index.css";

const page = document.getElementById("page");
if (page === null) throw new Error("index.html has no #page");
render(<App />, page);
void ask();
registerServiceWorker();

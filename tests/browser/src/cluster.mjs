// A local cluster for one test file, started and asked by `chatterctl` as a person would.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, "../../..");
const profile = process.env.CHATTERBOX_PROFILE ?? "debug";
const chatterctl = path.join(root, "target", profile, "chatterctl");

/** Passwords that cost nothing: in a debug build one of full cost takes a second. */
const CHEAP = {
  CHATTERBOX_GATEWAY_ARGON2_MEMORY_KIB: "8",
  CHATTERBOX_GATEWAY_ARGON2_PASSES: "1",
};

/** Whether something listens on a port of loopback. */
function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/** The first of 20 ports in a row that are all free. */
async function freePorts() {
  for (let first = 21_000 + (process.pid % 50) * 100; first < 31_000; first += 20) {
    const ports = Array.from({ length: 20 }, (_, index) => first + index);
    const free = await Promise.all(ports.map(isFree));
    if (free.every(Boolean)) return first;
  }
  throw new Error("no 20 free ports in a row between 21000 and 31000");
}

export class Cluster {
  static async start({ replicas = 3, gateways = 1, env = {} } = {}) {
    const cluster = new Cluster();
    cluster.data = await mkdtemp(path.join(tmpdir(), "chatterbox-browser-"));
    cluster.port = await freePorts();
    cluster.url = `http://localhost:${cluster.port}`;
    // Of the gateways, the first one first; membership has the port between (chatterctl's plan).
    cluster.urls = Array.from({ length: gateways }, (_, index) =>
      index === 0 ? cluster.url : `http://localhost:${cluster.port + index + 1}`,
    );
    cluster.env = env;
    const sizes = ["--replicas", String(replicas), "--gateways", String(gateways)];
    await cluster.ctl("up", ...sizes, "--port", String(cluster.port));
    return cluster;
  }

  /** Runs `chatterctl` on this cluster and returns what it printed. */
  async ctl(command, ...args) {
    const { stdout } = await run(chatterctl, [command, "--data", this.data, ...args], {
      timeout: 60_000,
      env: { ...process.env, ...CHEAP, ...this.env },
    });
    return stdout;
  }

  /** `chatterctl node …` on this cluster. */
  async node(command, ...args) {
    await run(chatterctl, ["node", command, "--data", this.data, ...args], { timeout: 60_000 });
  }

  /** `chatterctl demo`, by a person with this home; returns what it printed. */
  async demo(home = "home") {
    const env = { ...process.env, XDG_STATE_HOME: path.join(this.data, home) };
    const { stdout } = await run(chatterctl, ["demo", "--url", this.url], { timeout: 60_000, env });
    return stdout;
  }

  async status() {
    try {
      return JSON.parse(await this.ctl("status", "--json"));
    } catch (error) {
      // Status exits with 1 when there is no quorum, and prints all the same.
      if (error.stdout) return JSON.parse(error.stdout);
      throw error;
    }
  }

  /** The name of the leader, like `r1`. */
  async leader() {
    for (let attempt = 0; attempt < 200; attempt += 1) {
      const status = await this.status();
      const leader = status.replicas.find((replica) => replica.role === "leader");
      if (leader && status.quorum) return leader.name;
      await sleep(50);
    }
    throw new Error("no leader within 10 s");
  }

  /** `kill -9`; the supervisor starts it again. */
  kill(name) {
    return this.ctl("kill", name);
  }

  /**
   * The supervisor stands still until `restart`: what is killed now stays dead, for as long as a
   * test has to look at it.
   */
  async holdRestarts() {
    this.held = (await this.state()).supervisor;
    process.kill(this.held, "SIGSTOP");
  }

  restart() {
    if (this.held !== undefined) process.kill(this.held, "SIGCONT");
    this.held = undefined;
  }

  /** What runs, as the supervisor has written it down. */
  async state() {
    return JSON.parse(await readFile(path.join(this.data, "cluster.json"), "utf8"));
  }

  /** Stands still like a machine that hangs, until `resume`. */
  pause(name) {
    return this.ctl("pause", name);
  }

  resume(name) {
    return this.ctl("resume", name);
  }

  /** One more replica, which waits for its turn: it joins as a standby. */
  async addStandby() {
    const { membership } = await this.state();
    const listen = `127.0.0.1:${this.port + 19}`;
    const program = path.join(root, "target", profile, "replica");
    this.standby = spawn(program, {
      env: {
        ...process.env,
        CHATTERBOX_REPLICA_LISTEN: listen,
        CHATTERBOX_REPLICA_ADVERTISE: listen,
        CHATTERBOX_REPLICA_DATA: path.join(this.data, "standby"),
        CHATTERBOX_REPLICA_MEMBERSHIP: `http://${membership}`,
        // As `chatterctl up` made it for the others.
        CHATTERBOX_REPLICA_TLS: path.join(this.data, "tls", "replica"),
      },
      stdio: "ignore",
    });
  }

  async stop() {
    this.restart();
    if (this.standby !== undefined) {
      const ended = once(this.standby, "exit");
      this.standby.kill();
      await ended;
    }
    await this.ctl("down").catch(() => undefined);
    await rm(this.data, { recursive: true, force: true });
  }
}

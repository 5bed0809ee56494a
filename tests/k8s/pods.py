"""Runs the pod templates of the overlays without Kubernetes, and chats on them.

Each pod has a network namespace of its own with its own address, the user, the read-only root, the
mounts, the environment and the command of its template; its probes are run as a kubelet would. What
Kubernetes does besides (names, disks, restarts) is done here, by hand. Needs root, ip and bwrap.

Usage: pods.py DIRECTORY-OF-PROGRAMS DIRECTORY-FOR-DATA
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid

import websocket

from manifests import environment, port_of, render, workloads

BRIDGE = "cbtest0"
NETWORK = "10.213.77"
# Waiting a minute between two changes of the voters would test nothing but patience.
FASTER = {
    "CHATTERBOX_MEMBERSHIP_CHANGE_PAUSE_MS": "1000",
    "CHATTERBOX_MEMBERSHIP_REPLACE_AFTER_MS": "4000",
}


def run(*command):
    subprocess.run(command, check=True)


class Pod:
    """One pod: its sandbox, its process, its probes."""

    def __init__(self, cluster, name, workload, number):
        self.cluster, self.name, self.number = cluster, name, number
        self.namespace, self.address = f"cbtest-{number}", f"{NETWORK}.{number}"
        self.spec = cluster.templates[workload]["spec"]["template"]["spec"]
        self.container = self.spec["containers"][0]
        self.claims = cluster.data / name
        self.process = self.pid = None

    def plug(self):
        """A network namespace with an address on the bridge."""
        inside, outside = f"cbi{self.number}", f"cbo{self.number}"
        run("ip", "netns", "add", self.namespace)
        run("ip", "link", "add", outside, "type", "veth", "peer", "name", inside, "netns", self.namespace)
        run("ip", "link", "set", outside, "master", BRIDGE, "up")
        inner = ("ip", "-n", self.namespace)
        run(*inner, "addr", "add", f"{self.address}/24", "dev", inside)
        run(*inner, "link", "set", inside, "up")
        run(*inner, "link", "set", "lo", "up")

    def sandbox(self, command):
        """The command line that runs a command in this pod."""
        user = self.spec["securityContext"]
        line = ["ip", "netns", "exec", self.namespace, "bwrap", "--die-with-parent", "--unshare-ipc"]
        for path in ("/etc", "/tls"):
            line += ["--perms", "0755", "--dir", path]
        for path in ("/usr", "/lib", "/lib64", "/bin", "/etc/ssl"):
            if pathlib.Path(path).exists():
                line += ["--ro-bind", path, path]
        line += ["--ro-bind", str(self.cluster.programs), "/usr/local/bin"]
        for name in ("hosts", "nsswitch.conf"):
            line += ["--ro-bind", str(self.cluster.data / name), f"/etc/{name}"]
        line += ["--proc", "/proc", "--dev", "/dev"]
        memory = {volume["name"] for volume in self.spec["volumes"] if "emptyDir" in volume}
        secrets = {
            volume["name"]: volume["secret"]["secretName"]
            for volume in self.spec["volumes"]
            if "secret" in volume
        }
        for mount in self.container["volumeMounts"]:
            if mount["name"] in secrets:
                secret = self.cluster.data / "secrets" / secrets[mount["name"]]
                line += ["--ro-bind", str(secret), mount["mountPath"]]
            elif mount["name"] in memory:
                line += ["--perms", "1777", "--tmpfs", mount["mountPath"]]
            else:
                line += ["--bind", str(self.claim(mount["name"], user)), mount["mountPath"]]
        line += ["--remount-ro", "/", "--clearenv"]
        for key, value in self.environment().items():
            line += ["--setenv", key, value]
        identity = [f"--reuid={user['runAsUser']}", f"--regid={user['runAsGroup']}", "--clear-groups"]
        line += ["--", "setpriv", *identity, "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
        return [*line, *command]

    def claim(self, name, user):
        """The disk: as a volume of its own, which is its group's (fsGroup), with what mkfs leaves."""
        disk = self.claims / name
        if not disk.exists():
            (disk / "lost+found").mkdir(parents=True, mode=0o700)
            shutil.chown(disk, 0, user["fsGroup"])
            disk.chmod(0o2775)
        return disk

    def environment(self):
        values = environment(self.cluster.objects, self.container, self.name)
        if self.name.startswith("membership"):
            values.update(FASTER)
        return values

    def start(self):
        log = (self.cluster.data / f"{self.name}.log").open("ab")
        self.process = subprocess.Popen(
            self.sandbox(self.container["command"]), stdout=log, stderr=log
        )
        # The sandbox waits for the program, whose signals it does not pass on.
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        while not (found := children.read_text().split()):
            assert self.process.poll() is None, (
                f"{self.name} did not start:\n{pathlib.Path(log.name).read_text()[-2000:]}"
            )
            time.sleep(0.01)
        self.pid = int(found[0])

    def probe(self, which):
        """What a kubelet would find."""
        probe = self.container[which]
        if "exec" in probe:
            found = subprocess.run(self.sandbox(probe["exec"]["command"]), capture_output=True)
            return found.returncode == 0
        path, port = probe["httpGet"]["path"], port_of(self.container, probe["httpGet"]["port"])
        try:
            with urllib.request.urlopen(f"http://{self.address}:{port}{path}", timeout=3):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def figure(self, name):
        """A figure of its metrics, summed over its labels."""
        url = f"http://{self.address}:{port_of(self.container, 'metrics')}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        found = [line.split()[1] for line in lines if line.split("{")[0].split(" ")[0] == name]
        assert found, f"{self.name} tells no {name}"
        return sum(float(value) for value in found)

    def delete(self, claims=False):
        """As `kubectl delete pod`, at once and without a word, perhaps with its claims."""
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait()
        if claims:
            shutil.rmtree(self.claims)

    def terminate(self):
        """As a rolling update: it must end by itself within its grace period."""
        os.kill(self.pid, signal.SIGTERM)
        status = self.process.wait(timeout=self.spec["terminationGracePeriodSeconds"])
        assert status == 0, f"{self.name} ended with {status} when it was told to stop"

    def ctl(self, *arguments):
        """chatterctl in this pod, as by `kubectl exec`."""
        command = self.sandbox(["/usr/local/bin/chatterctl", *arguments])
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Cluster:
    def __init__(self, programs, data, overlay):
        self.programs, self.data = programs, data
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(parents=True)
        self.objects = render(overlay)
        self.templates = workloads(self.objects)
        self.pods = {}

    def make_secrets(self):
        """What `k8s/cluster.sh certificates` puts into Secrets, as a kubelet mounts them."""
        made = self.data / "authority"
        run(self.programs / "chatterctl", "ca", "ensure", "--dir", made, "--cluster", "chatterbox")
        for role in ("replica", "gateway", "membership", "operator"):
            secret = self.data / "secrets" / f"{role}-tls"
            secret.mkdir(parents=True)
            for name in ("ca.crt", "tls.crt", "tls.key"):
                shutil.copy(made / role / name, secret)
                shutil.chown(secret / name, 0, 65532)
                (secret / name).chmod(0o440)

    def __enter__(self):
        self.clear()
        self.make_secrets()
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        run("ip", "addr", "add", f"{NETWORK}.1/24", "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")
        # What the name server of a cluster answers: pods of headless services, and the others.
        names = {"membership": 10, "localhost": None}
        names |= {f"replica-{n}.replica": 20 + n for n in range(5)}
        lines = [f"{NETWORK}.{n} {name}" if n else f"127.0.0.1 {name}" for name, n in names.items()]
        (self.data / "hosts").write_text("\n".join(lines) + "\n")
        (self.data / "nsswitch.conf").write_text("hosts: files\n")
        self.add("membership-0", "membership", 10)
        for n in range(self.templates["replica"]["spec"]["replicas"]):
            self.add(f"replica-{n}", "replica", 20 + n)
        self.add("gateway-x", "gateway", 30)
        return self

    def __exit__(self, *_):
        for pod in self.pods.values():
            if pod.process and pod.process.poll() is None:
                pod.delete()
        self.clear()

    def clear(self):
        """What a run that was interrupted left behind, by the names that only this test gives."""
        for number in [10, *range(20, 25), 30]:
            subprocess.run(["ip", "link", "del", f"cbo{number}"], stderr=subprocess.DEVNULL)
            subprocess.run(["ip", "netns", "del", f"cbtest-{number}"], stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "link", "del", BRIDGE], stderr=subprocess.DEVNULL)

    def add(self, name, workload, number):
        pod = self.pods[name] = Pod(self, name, workload, number)
        pod.plug()
        pod.start()

    def wait(self, what, holds, seconds=90):
        began = time.monotonic()
        while not holds():
            for pod in self.pods.values():
                status = pod.process.poll()
                if status is not None:
                    tail = (self.data / f"{pod.name}.log").read_text()[-2000:]
                    sys.exit(f"{pod.name} ended with {status}:\n{tail}")
            if time.monotonic() - began > seconds:
                sys.exit(f"not within {seconds} s: {what}\n{self.nodes_in_words()}")
            time.sleep(0.3)
        print(f"{time.monotonic() - began:6.1f} s  {what}", flush=True)

    def nodes(self):
        listed = self.pods["membership-0"].ctl("node", "list", "--json")
        return json.loads(listed)

    def nodes_in_words(self):
        try:
            return self.pods["membership-0"].ctl("node", "list")
        except subprocess.CalledProcessError as error:
            return error.stderr

    def voters(self):
        """Who votes, by address; nobody while nobody can tell."""
        try:
            nodes = self.nodes()["nodes"]
        except subprocess.CalledProcessError:
            return {}
        return {node["address"]: node["node"] for node in nodes if node["voter"]}

    def vote(self, count):
        """Whether just the first replicas vote."""
        return sorted(self.voters()) == addresses(count)

    def is_ready(self, *names):
        return all(self.pods[name].probe("readinessProbe") for name in names)


class Person:
    def __init__(self, gateway, name):
        self.base = f"http://{gateway.address}:{port_of(gateway.container, 'http')}"
        body = {"cid": str(uuid7()), "name": name, "password": "a sentence is good"}
        request = urllib.request.Request(
            f"{self.base}/api/v1/sign-up",
            json.dumps(body).encode(),
            {"content-type": "application/json", "origin": self.base},
        )
        with urllib.request.urlopen(request, timeout=15) as answer:
            cookie = answer.headers["set-cookie"].split(";")[0]
        self.token = cookie.removeprefix("chatterbox_session=")

    def say(self, text):
        """Sends a message to the first room and waits until it is committed."""
        socket = websocket.create_connection(
            self.base.replace("http", "ws", 1) + "/ws",
            header=[f"authorization: Bearer {self.token}"],
            subprotocols=["chatterbox.v1.json"],
            timeout=15,
        )
        socket.send(json.dumps({"t": "start", "useq": 0, "min_slot": 0, "rooms": {}}))
        cid = str(uuid7())
        send = {"t": "send", "cid": cid, "room": 1, "body": text}
        while True:
            frame = json.loads(socket.recv())
            if frame["t"] == "ready":
                socket.send(json.dumps(send))
            elif frame["t"] == "ack" and frame["cid"] == cid:
                socket.close()
                return frame["seq"]
            elif frame["t"] == "err":
                assert frame["temporary"], frame
                socket.send(json.dumps(send))

    def texts(self):
        request = urllib.request.Request(
            f"{self.base}/api/v1/rooms/1/events?after=0&limit=200",
            headers={"authorization": f"Bearer {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=15) as answer:
            events = json.load(answer)["events"]
        return [event["body"] for event in events if event["kind"] == "message"]


def uuid7():
    random = uuid.uuid4().int & ((1 << 74) - 1)
    time_ms = int(time.time() * 1000)
    return uuid.UUID(int=time_ms << 80 | 7 << 76 | (random >> 62) << 64 | 2 << 62 | random & ((1 << 62) - 1))


def addresses(count):
    return [f"replica-{n}.replica:1061" for n in range(count)]


def encrypted(programs, data):
    """The overlay `prod`: the services speak TLS with each other, and with nobody else."""
    with Cluster(programs, data, "prod") as cluster:
        pods = cluster.pods
        cluster.wait("every pod of prod is ready", lambda: cluster.is_ready(*pods))
        ann = Person(pods["gateway-x"], "ann")
        said = ["by certificates"]
        ann.say(said[-1])
        assert len(cluster.voters()) == 3
        for target, port in (("replica-0", "grpc"), ("membership-0", "grpc")):
            pod = pods[target]
            address = f"grpc://{pod.address}:{port_of(pod.container, port)}"
            stranger = [cluster.programs / "chatterctl", "health", address]
            found = subprocess.run(stranger, capture_output=True, env={})
            assert found.returncode != 0, f"{target} answers whoever has no certificate"
        for name in ("replica-1", "gateway-x"):
            pods[name].terminate()
            pods[name].start()
            cluster.wait(f"{name} of prod is ready again", lambda: cluster.is_ready(name))
        said.append("and again")
        ann.say(said[-1])
        assert ann.texts() == said, f"said {said}, there is {ann.texts()}"
    print("prod: certificates are needed, and enough")


def main():
    programs, data = (pathlib.Path(path).resolve() for path in sys.argv[1:])
    encrypted(programs, data)
    with Cluster(programs, data, "dev") as cluster:
        pods = cluster.pods
        cluster.wait("every pod has started", lambda: all(p.probe("startupProbe") for p in pods.values()))
        cluster.wait("every pod is ready", lambda: cluster.is_ready(*pods))
        ann = Person(pods["gateway-x"], "ann")
        said = ["hello from three pods"]
        ann.say(said[-1])

        lost = cluster.voters()["replica-1.replica:1061"]
        replicas = [pods[f"replica-{n}"] for n in range(3)]
        assert sum(pod.figure("chatterbox_replica_leader") for pod in replicas) == 1
        assert all(pod.figure("chatterbox_replica_commands_total") >= 2 for pod in replicas)
        assert all(pod.figure("chatterbox_replica_sync_seconds_count") > 0 for pod in replicas)
        assert pods["gateway-x"].figure("chatterbox_gateway_request_seconds_count") >= 2
        assert pods["membership-0"].figure("chatterbox_membership_voters") == 3

        pods["replica-1"].delete(claims=True)
        pods["replica-1"].start()
        said.append("while a disk is gone")
        ann.say(said[-1])
        cluster.wait("a pod whose claim was deleted votes again", lambda: (
            cluster.vote(3)
            and cluster.voters().get("replica-1.replica:1061", lost) != lost
            and cluster.is_ready("replica-1")))

        for name in ("replica-2", "replica-1", "replica-0"):
            pods[name].terminate()
            pods[name].start()
            cluster.wait(f"{name} is ready after an update", lambda: cluster.is_ready(name))
        said.append("after a rolling update")
        ann.say(said[-1])

        for n in (3, 4):
            cluster.add(f"replica-{n}", "replica", 20 + n)
        cluster.wait("scaled to five, five vote", lambda: cluster.vote(5))
        for node in cluster.nodes()["nodes"]:
            if node["address"] in addresses(5)[3:]:
                pods["membership-0"].ctl("node", "drain", f"r{node['node']}")
        cluster.wait("two are drained, three vote", lambda: cluster.vote(3))
        for n in (3, 4):
            pods.pop(f"replica-{n}").terminate()
        said.append("scaled to three again")
        ann.say(said[-1])

        for pod in pods.values():
            pod.delete()
        for pod in pods.values():
            pod.start()
        cluster.wait("all pods come back after a power failure", lambda: cluster.is_ready(*pods))
        assert ann.texts() == said, f"said {said}, there is {ann.texts()}"
        for pod in pods.values():
            pod.terminate()
        print("every message is there, and every pod ended when it was told to")


if __name__ == "__main__":
    main()

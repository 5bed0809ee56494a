"""Reads the manifests of every overlay: are they what the programs and Kubernetes expect?

Usage: check.py DIRECTORY-OF-PROGRAMS
"""

import re
import subprocess
import sys

import kubernetes_validate

from manifests import OVERLAYS, environment, port_of, render, workloads

# The oldest one that has what is used here (a preStop that sleeps), a middle one and the newest known.
VERSIONS = ("1.30", "1.33", "1.36")
# Variables that are no setting of one program: of the logger, of the pod itself.
COMMON = {"RUST_LOG", "CHATTERBOX_LOG_FORMAT", "POD_NAME", "CHATTERBOX_TLS"}
# Those of traces, by the standard (services/ops/src/telemetry.rs).
TRACES = {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"}
# Where every pod may go besides: to the name server, and with traces to their collector.
EVERYBODY = {"names": {("UDP", 53), ("TCP", 53)}, "traces": {("TCP", 4317)}}
# Objects of cert-manager, whose schemas are its own.
FOREIGN = ("Certificate", "Issuer")
ROLES = {"replica", "gateway", "membership", "operator"}
# Who opens connections to whom, on which port: the picture in ARCHITECTURE.md.
ARROWS = {
    ("gateway", "replica", 1061),
    ("gateway", "membership", 1051),
    ("replica", "replica", 1061),
    ("replica", "membership", 1051),
    ("membership", "replica", 1061),
}


def schemas(overlay, objects):
    for version in VERSIONS:
        for (kind, name), found in objects.items():
            if kind in FOREIGN:
                continue
            try:
                kubernetes_validate.validate(found, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                sys.exit(f"{overlay}: {kind}/{name} is none of Kubernetes {version}: {error}")


def settings(program, programs):
    """The variables that a program reads, by its own help."""
    text = subprocess.run([f"{programs}/{program}", "--help"], check=True, capture_output=True, text=True)
    return set(re.findall(r"CHATTERBOX_[A-Z_]+", text.stdout)) | COMMON | TRACES


def secure(name, spec):
    """The profile `restricted`, and a root that cannot be written."""
    pod = spec["securityContext"]
    assert pod["runAsNonRoot"] and pod["runAsUser"] > 0, f"{name}: may run as root"
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}, f"{name}: no seccomp profile"
    assert spec["automountServiceAccountToken"] is False, f"{name}: has a token of the cluster"
    for container in spec["containers"]:
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False, name
        assert own["readOnlyRootFilesystem"] is True, name
        assert own["capabilities"] == {"drop": ["ALL"]}, name
        assert "memory" in container["resources"]["limits"], f"{name}: no limit of memory"
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert probe in container, f"{name}: no {probe}"


def templates(objects, programs):
    for name, found in workloads(objects).items():
        spec = found["spec"]["template"]["spec"]
        labels = found["spec"]["template"]["metadata"]["labels"]
        selector = found["spec"]["selector"]["matchLabels"]
        assert selector.items() <= labels.items(), f"{name}: its selector misses its pods"
        secure(name, spec)
        assert len(spec["containers"]) == 1, f"{name}: one program per pod"
        container = spec["containers"][0]
        (command,) = container["command"]
        program = command.removeprefix("/usr/local/bin/")
        known = settings(program, programs)
        given = environment(objects, container, f"{name}-0")
        unknown = given.keys() - known
        assert not unknown, f"{name}: {program} does not read {sorted(unknown)}"
        assert container["image"].count(":") == 1, f"{name}: the image has no tag"
        listen = given[f"CHATTERBOX_{program.upper()}_LISTEN"]
        port = int(listen.rpartition(":")[2])
        assert port in [one["containerPort"] for one in container["ports"]], f"{name}: {listen}"
        mounts = {mount["name"] for mount in container["volumeMounts"]}
        volumes = {volume["name"] for volume in spec.get("volumes", [])}
        claims = {claim["metadata"]["name"] for claim in found["spec"].get("volumeClaimTemplates", [])}
        assert mounts == volumes | claims, f"{name}: {mounts} are mounted, {volumes | claims} are there"


def certificates(overlay, objects):
    """Whoever speaks TLS has a certificate of its own role, where its settings look for it."""
    mounted = set()
    for name, found in workloads(objects).items():
        spec = found["spec"]["template"]["spec"]
        container = spec["containers"][0]
        secrets = {one["name"]: one["secret"] for one in spec.get("volumes", []) if "secret" in one}
        at = {
            mount["mountPath"]: secrets[mount["name"]]["secretName"]
            for mount in container["volumeMounts"]
            if mount["name"] in secrets
        }
        mounted |= set(at.values())
        given = environment(objects, container, f"{name}-0")
        own = given.get(f"CHATTERBOX_{name.upper()}_TLS")
        assert (own is None) == (not at), f"{name}: {own} is set, {at} is mounted"
        if own is None:
            continue
        assert at[own] == f"{name}-tls", f"{name}: {own} holds {at[own]}"
        # The probes of a gateway are HTTP; the others' are chatterctl's, which needs one, too.
        assert name == "gateway" or given["CHATTERBOX_TLS"] in at, f"{name}: its probes speak plain text"
        assert spec["securityContext"]["fsGroup"] == spec["securityContext"]["runAsGroup"], name
        for secret in secrets.values():
            assert secret["defaultMode"] == 0o440, f"{name}: others may read {secret}"
    assert mounted in (set(), {f"{role}-tls" for role in ROLES}), f"{overlay}: {mounted}"
    made = {name: found["spec"] for (kind, name), found in objects.items() if kind == "Certificate"}
    if not made:
        return
    cluster = objects["ConfigMap", config_of(objects, "membership")]["data"]
    for role in ROLES:
        spec = made.pop(role)
        wanted = f"spiffe://chatterbox/{cluster['CHATTERBOX_MEMBERSHIP_CLUSTER']}/{role}"
        assert spec["uris"] == [wanted], f"{role}: {spec['uris']}, not {wanted}"
        assert spec["secretName"] == f"{role}-tls", role
        assert {"server auth", "client auth"} <= set(spec["usages"]), role
        assert ("Issuer", spec["issuerRef"]["name"]) in objects, role
    (authority,) = made.values()
    assert authority["isCA"] is True
    issuer = objects["Issuer", "authority"]["spec"]
    assert issuer["ca"]["secretName"] == authority["secretName"]


def services(objects):
    for (kind, name), service in objects.items():
        if kind != "Service":
            continue
        selector = service["spec"]["selector"]
        found = [
            one["spec"]["template"]["spec"]["containers"][0]
            for one in workloads(objects).values()
            if selector.items() <= one["spec"]["template"]["metadata"]["labels"].items()
        ]
        assert len(found) == 1, f"service {name} selects {len(found)} workloads"
        for port in service["spec"]["ports"]:
            port_of(found[0], port["targetPort"])
    for name, found in workloads(objects).items():
        if found["kind"] == "StatefulSet":
            assert ("Service", found["spec"]["serviceName"]) in objects, name


def components(peers):
    """The components that a rule is about; an empty selector is anybody."""
    return [
        peer.get("podSelector", {}).get("matchLabels", {}).get("app.kubernetes.io/component")
        for peer in peers
    ]


def policies(objects):
    """Just the arrows are open, at both ends."""
    goes, comes, denied = set(), set(), False
    for (kind, name), policy in objects.items():
        if kind != "NetworkPolicy":
            continue
        spec = policy["spec"]
        (of,) = components([spec])
        if of is None and not {"egress", "ingress"} & spec.keys():
            denied = {"Ingress", "Egress"} <= set(spec["policyTypes"])
        # Nothing but figures, for the namespace of the monitoring.
        for rule in spec.get("ingress", []) if of is None else []:
            assert [list(peer) for peer in rule["from"]] == [["namespaceSelector"]], name
            assert [port["port"] for port in rule["ports"]] == ["metrics"], name
        for rule in spec.get("egress", []) if of is None else []:
            ports = {(port["protocol"], port["port"]) for port in rule["ports"]}
            assert ports == EVERYBODY[name], f"{name}: {ports}"
            assert all("namespaceSelector" in peer for peer in rule["to"]), name
        if of is None:
            continue
        for rule in spec.get("egress", []):
            for to in components(rule["to"]):
                goes |= {(of, to, port["port"]) for port in rule["ports"]}
        for rule in spec.get("ingress", []):
            for origin in components(rule.get("from", [])):
                comes |= {(origin, of, port["port"]) for port in rule["ports"]}
    assert denied, "what is not allowed is not refused"
    assert goes == ARROWS, f"egress differs from the picture: {goes ^ ARROWS}"
    assert comes == ARROWS, f"ingress differs from the picture: {comes ^ ARROWS}"


def traces(overlay, objects):
    """Either all export, and may, or nobody."""
    exporting = {
        name: given["OTEL_EXPORTER_OTLP_ENDPOINT"]
        for name, found in workloads(objects).items()
        for given in [environment(objects, found["spec"]["template"]["spec"]["containers"][0], f"{name}-0")]
        if "OTEL_EXPORTER_OTLP_ENDPOINT" in given
    }
    assert set(exporting) in (set(), set(workloads(objects))), f"{overlay}: only {exporting} export"
    may = ("NetworkPolicy", "traces") in objects
    assert may == bool(exporting), f"{overlay}: the policy `traces` is there: {may}"
    ((_, port),) = EVERYBODY["traces"]
    assert all(where.endswith(f":{port}") for where in exporting.values()), exporting


def budgets(objects):
    """A drained machine never takes a quorum."""
    for name in ("replica", "gateway"):
        budget = objects["PodDisruptionBudget", name]["spec"]
        assert budget["maxUnavailable"] == 1, name
        labels = workloads(objects)[name]["spec"]["template"]["metadata"]["labels"]
        assert budget["selector"]["matchLabels"].items() <= labels.items(), name
    replica = workloads(objects)["replica"]["spec"]
    assert replica["podManagementPolicy"] == "Parallel", "ordered pods wait for ever for a quorum"
    assert replica["persistentVolumeClaimRetentionPolicy"] == {
        "whenDeleted": "Retain",
        "whenScaled": "Retain",
    }
    wished = objects["ConfigMap", config_of(objects, "membership")]["data"]
    assert int(wished["CHATTERBOX_MEMBERSHIP_REPLICAS"]) <= replica["replicas"], "it would never form"


def config_of(objects, name):
    container = workloads(objects)[name]["spec"]["template"]["spec"]["containers"][0]
    return container["envFrom"][0]["configMapRef"]["name"]


def main():
    (programs,) = sys.argv[1:]
    for overlay in OVERLAYS:
        objects = render(overlay)
        schemas(overlay, objects)
        templates(objects, programs)
        certificates(overlay, objects)
        services(objects)
        policies(objects)
        traces(overlay, objects)
        budgets(objects)
        print(f"{overlay}: {len(objects)} objects, valid for Kubernetes {', '.join(VERSIONS)}")


if __name__ == "__main__":
    main()

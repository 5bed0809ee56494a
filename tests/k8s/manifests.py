"""The manifests as Kubernetes would read them: rendered, and looked up by kind and name.

What this module does not know it refuses, so that a manifest cannot say something that no test reads.
"""

import subprocess

import yaml

OVERLAYS = ("dev", "prod", "prod-cert-manager", "prod-traces")
POD_KINDS = ("StatefulSet", "Deployment")


def render(overlay):
    """All objects of an overlay, by (kind, name)."""
    text = subprocess.run(
        ["kubectl", "kustomize", f"k8s/overlays/{overlay}"], check=True, capture_output=True, text=True
    ).stdout
    objects = [found for found in yaml.safe_load_all(text) if found]
    by_name = {(found["kind"], found["metadata"]["name"]): found for found in objects}
    assert len(by_name) == len(objects), f"{overlay}: two objects of one kind and name"
    return by_name


def workloads(objects):
    """The objects that make pods."""
    return {name: found for (kind, name), found in objects.items() if kind in POD_KINDS}


def environment(objects, container, pod_name):
    """The variables of a container in the pod of that name."""
    values = {}
    for source in container.get("envFrom", []):
        (kind, reference), = source.items()
        assert kind == "configMapRef", f"envFrom {kind} is not read by the tests"
        values.update(objects["ConfigMap", reference["name"]]["data"])
    for variable in container.get("env", []):
        name = variable["name"]
        if "value" in variable:
            value = variable["value"]
            for known, text in values.items():
                value = value.replace(f"$({known})", text)
            assert "$(" not in value, f"{name}: {value} names an unknown variable"
            values[name] = value
        else:
            field = variable["valueFrom"]["fieldRef"]["fieldPath"]
            assert field == "metadata.name", f"{name}: {field} is not read by the tests"
            values[name] = pod_name
    return values


def port_of(container, wanted):
    """A port by number or name."""
    if isinstance(wanted, int):
        return wanted
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    return ports[wanted]

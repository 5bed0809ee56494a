//! Cuts links by network policies.
//!
//! Policies only ever allow: a link is cut when no policy allows it any more. So each policy that
//! is about a pod at the end of a cut link lets that pod go, and a copy for this pod alone takes
//! its place, which names the pods at the other end as exceptions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::ground::{Link, Name};

/// The label that names a pod for a policy: pods of a Deployment have no other one of their own.
pub(super) const NAME: &str = "chaos.chatterbox/name";
/// The label of the policies that were made here.
pub(super) const CUT: &str = "chaos.chatterbox/cut";

/// What to apply in place of `usual`, so that these links are cut and no others. The first are the
/// usual policies without the pods that are cut off from somebody; the others are theirs.
pub(super) fn cut(
    usual: &[Value],
    components: &BTreeMap<Name, String>,
    cut: &BTreeSet<Link>,
) -> Vec<Value> {
    let ends: BTreeSet<&Name> = cut.iter().flat_map(|link| [&link.from, &link.to]).collect();
    let mut policies = Vec::new();
    for policy in usual {
        let about: Vec<&Name> = ends
            .iter()
            .filter(|name| is_about(policy, components.get(**name)))
            .copied()
            .collect();
        let mut rest = policy.clone();
        if !about.is_empty() {
            except(&mut rest["spec"]["podSelector"], about.iter().copied());
            policies.extend(about.iter().map(|name| own(policy, name, cut)));
        }
        policies.push(rest);
    }
    policies
}

/// Whether a policy is about pods of this service by name; those about all pods stay: they allow
/// what no link is (names, figures), or nothing.
fn is_about(policy: &Value, component: Option<&String>) -> bool {
    let wanted = &policy["spec"]["podSelector"]["matchLabels"][super::pods::COMPONENT];
    component.is_some_and(|component| wanted == component.as_str())
}

/// A policy as it is for one pod while links of it are cut.
fn own(policy: &Value, name: &Name, cut: &BTreeSet<Link>) -> Value {
    let mut own = policy.clone();
    let usual = policy["metadata"]["name"].as_str().unwrap_or_default();
    own["metadata"] = json!({
        "name": format!("cut-{usual}-{name}"),
        "namespace": policy["metadata"]["namespace"],
        "labels": {CUT: "true"},
    });
    own["spec"]["podSelector"]["matchLabels"][NAME] = json!(name);
    let senders = cut
        .iter()
        .filter(|link| link.to == *name)
        .map(|link| &link.from);
    let receivers = cut
        .iter()
        .filter(|link| link.from == *name)
        .map(|link| &link.to);
    for (direction, peers, others) in [
        ("ingress", "from", senders.collect::<Vec<_>>()),
        ("egress", "to", receivers.collect::<Vec<_>>()),
    ] {
        let rules = own["spec"][direction].as_array_mut();
        for rule in rules.into_iter().flatten() {
            for peer in rule[peers].as_array_mut().into_iter().flatten() {
                except(&mut peer["podSelector"], others.iter().copied());
            }
        }
    }
    own
}

/// Lets a selector leave out pods by their names.
fn except<'a>(selector: &mut Value, names: impl Iterator<Item = &'a Name>) {
    let names: Vec<&Name> = names.collect();
    if names.is_empty() {
        return;
    }
    let exception = json!({"key": NAME, "operator": "NotIn", "values": names});
    match selector["matchExpressions"].as_array_mut() {
        Some(expressions) => expressions.push(exception),
        None => selector["matchExpressions"] = json!([exception]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(name: &str, selector: Value, spec: Value) -> Value {
        let mut policy = json!({
            "kind": "NetworkPolicy",
            "metadata": {"name": name, "namespace": "n"},
            "spec": spec,
        });
        policy["spec"]["podSelector"] = selector;
        policy
    }

    fn component(name: &str) -> Value {
        json!({"matchLabels": {super::super::pods::COMPONENT: name}})
    }

    /// As a network would read it: whether some policy lets `from` reach `to`.
    fn allowed(
        policies: &[Value],
        components: &BTreeMap<Name, String>,
        from: &str,
        to: &str,
    ) -> bool {
        let selects = |selector: &Value, pod: &str| {
            let label = |key: &str| match key {
                NAME => pod,
                _ => components[pod].as_str(),
            };
            let mut labels = selector["matchLabels"].as_object().into_iter().flatten();
            let mut expressions = selector["matchExpressions"]
                .as_array()
                .into_iter()
                .flatten();
            labels.all(|(key, value)| value == label(key))
                && expressions.all(|expression| {
                    let values = expression["values"].as_array().into_iter().flatten();
                    let key = expression["key"].as_str().unwrap_or_default();
                    !values.clone().any(|value| value == label(key))
                })
        };
        let lets = |direction: &str, peers: &str, pod: &str, other: &str| {
            policies.iter().any(|policy| {
                selects(&policy["spec"]["podSelector"], pod)
                    && policy["spec"][direction]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .any(|rule| {
                            let mut peers = rule[peers].as_array().into_iter().flatten();
                            peers.any(|peer| selects(&peer["podSelector"], other))
                        })
            })
        };
        lets("egress", "to", from, to) && lets("ingress", "from", to, from)
    }

    /// Of all links between seven pods just those that are cut are closed, for any pair.
    #[test]
    fn what_is_cut_is_closed_and_nothing_else() {
        let peers = |names: &[&str]| -> Value {
            names
                .iter()
                .map(|name| json!({"podSelector": component(name)}))
                .collect()
        };
        let all = ["replica", "gateway", "membership"];
        let usual = [
            policy("nothing", json!({}), json!({})),
            policy(
                "replica",
                component("replica"),
                json!({
                    "ingress": [{"from": peers(&all)}],
                    "egress": [{"to": peers(&["replica"])}, {"to": peers(&["membership"])}],
                }),
            ),
            policy(
                "gateway",
                component("gateway"),
                json!({
                    "ingress": [{}],
                    "egress": [{"to": peers(&["replica"])}, {"to": peers(&["membership"])}],
                }),
            ),
            policy(
                "membership",
                component("membership"),
                json!({
                    "ingress": [{"from": peers(&["replica", "gateway"])}],
                    "egress": [{"to": peers(&["replica"])}],
                }),
            ),
        ];
        let pods = [
            "replica-0",
            "replica-1",
            "replica-2",
            "gateway-1",
            "gateway-2",
            "membership",
        ];
        let components: BTreeMap<Name, String> = pods
            .map(|pod| {
                (
                    pod.to_owned(),
                    pod.split('-').next().unwrap_or_default().to_owned(),
                )
            })
            .into();
        let link = |from: &str, to: &str| Link {
            from: from.to_owned(),
            to: to.to_owned(),
        };
        for a in pods {
            for b in pods.iter().filter(|b| **b != a) {
                let links: BTreeSet<Link> = [link(a, b), link(b, a)].into();
                let policies = cut(&usual, &components, &links);
                for from in pods {
                    for to in pods.iter().filter(|to| **to != from) {
                        let before = allowed(&usual, &components, from, to);
                        let open = before && !links.contains(&link(from, to));
                        let now = allowed(&policies, &components, from, to);
                        assert_eq!(now, open, "{a} and {b} are cut: {from} to {to}");
                    }
                }
            }
        }
        assert_eq!(cut(&usual, &components, &BTreeSet::new()), usual);
    }
}

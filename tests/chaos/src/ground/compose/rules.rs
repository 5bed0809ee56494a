//! The rules of the network in one container: which packets of whom it does not get.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::Result;

use crate::ground::command::run;
use crate::ground::{Link, Weather};

/// What `iptables-restore` is given for the container `to`.
///
/// A link that is cut both ways loses every packet. One that is cut one way loses the packets
/// that carry data: the bare acknowledgements of TCP pass, or the other way would stall, too.
pub(super) fn filter(
    to: &str,
    others: &[(String, String)],
    cut: &BTreeSet<Link>,
    weather: Weather,
) -> String {
    let mut text = "*filter\n:INPUT ACCEPT [0:0]\n-F INPUT\n".to_owned();
    let is_cut = |from: &str, to: &str| {
        cut.contains(&Link {
            from: from.to_owned(),
            to: to.to_owned(),
        })
    };
    for (name, ip) in others.iter().filter(|(name, _)| name != to) {
        // Writing to a String cannot fail.
        let _ = match (is_cut(name, to), is_cut(to, name)) {
            (true, true) => writeln!(text, "-A INPUT -s {ip} -j DROP"),
            (true, false) => writeln!(text, "-A INPUT -s {ip} -p tcp --tcp-flags PSH PSH -j DROP"),
            (false, _) if lossy(weather, name, to) => writeln!(
                text,
                "-A INPUT -s {ip} -m statistic --mode random --probability {:.3} -j DROP",
                f64::from(u32::try_from(weather.lost_per_mille).unwrap_or(1_000)) / 1_000.0
            ),
            (false, _) => Ok(()),
        };
    }
    text.push_str("COMMIT\n");
    text
}

/// Weather is between replicas.
fn lossy(weather: Weather, from: &str, to: &str) -> bool {
    weather.lost_per_mille > 0 && from.starts_with("replica") && to.starts_with("replica")
}

/// Gives a container its rules.
///
/// # Errors
/// What `nsenter` or `iptables-restore` said.
pub(super) async fn apply(pid: u32, rules: &str) -> Result<()> {
    let pid = pid.to_string();
    run("nsenter", &["-t", &pid, "-n", "iptables-restore"], rules)
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::filter;
    use crate::ground::{Link, Weather};

    fn link(from: &str, to: &str) -> Link {
        Link {
            from: from.to_owned(),
            to: to.to_owned(),
        }
    }

    #[test]
    fn a_cut_drops_what_it_names_and_nothing_else() {
        let others = [
            ("replica-1", "10.0.0.1"),
            ("replica-2", "10.0.0.2"),
            ("gateway-1", "10.0.0.3"),
        ]
        .map(|(name, ip)| (name.to_owned(), ip.to_owned()));
        let cut = [
            link("replica-1", "replica-2"),
            link("gateway-1", "replica-2"),
            link("replica-2", "gateway-1"),
        ];
        let rules = filter("replica-2", &others, &cut.into(), Weather::default());
        let lines: Vec<&str> = rules
            .lines()
            .filter(|line| line.starts_with("-A"))
            .collect();
        let expected = [
            "-A INPUT -s 10.0.0.1 -p tcp --tcp-flags PSH PSH -j DROP",
            "-A INPUT -s 10.0.0.3 -j DROP",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn weather_is_between_replicas_only() {
        let others = [("replica-1", "10.0.0.1"), ("gateway-1", "10.0.0.3")]
            .map(|(name, ip)| (name.to_owned(), ip.to_owned()));
        let weather = Weather {
            lost_per_mille: 50,
            ..Weather::default()
        };
        let rules = filter("replica-2", &others, &[].into(), weather);
        assert!(
            rules.contains("-s 10.0.0.1 -m statistic --mode random --probability 0.050"),
            "{rules}"
        );
        assert!(!rules.contains("10.0.0.3"), "{rules}");
    }
}

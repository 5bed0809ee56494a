//! The results as Markdown: tables with ratios, and where the charts are.

use std::fmt::Write as _;

use crate::chart::short;
use crate::record::Results;

mod table;

use table::{OURS, Table, count, grouped, ms};

/// Between these the tables stand in a document that has more to say.
pub const BEGIN: &str = "<!-- begin: written by `load report`, do not edit -->";
/// The end of them.
pub const END: &str = "<!-- end -->";

/// The charts by file name.
#[must_use]
pub fn charts(results: &Results) -> Vec<(&'static str, String)> {
    let table = |series, replicas, bytes| Table {
        results,
        series,
        replicas,
        bytes,
    };
    let commit = table("commit", 3, 128);
    let fanout = table("fanout", 1, 128);
    let all = [
        (
            "commits.svg",
            commit.chart(
                "Committed messages per second, three voters, 128 bytes",
                "messages in flight",
                "per_s",
                1.0,
            ),
        ),
        (
            "latency.svg",
            commit.chart(
                "Milliseconds to the acknowledgement (median), three voters, 128 bytes",
                "messages in flight",
                "p50_us",
                1e-3,
            ),
        ),
        (
            "cpu.svg",
            commit.chart(
                "Microseconds of CPU per message, all servers together",
                "messages in flight",
                "server_us_per_message",
                1.0,
            ),
        ),
        (
            "fanout.svg",
            fanout.chart(
                "Deliveries per second, one room",
                "readers",
                "deliveries_per_s",
                1.0,
            ),
        ),
    ];
    let drawn = all.into_iter();
    drawn.filter_map(|(name, svg)| Some((name, svg?))).collect()
}

/// The tables. `images` is where the charts are, as the document sees it.
#[must_use]
pub fn markdown(results: &Results, images: &str) -> String {
    let mut out = String::new();
    machine(&mut out, results);
    commits(&mut out, results, images);
    open(&mut out, results);
    web(&mut out, results);
    fanout(&mut out, results, images);
    idle(&mut out, results);
    growth(&mut out, results);
    failover(&mut out, results);
    out
}

fn machine(out: &mut String, results: &Results) {
    out.push_str("## The run\n\n");
    for words in &results.machine {
        let _ = writeln!(out, "- {words}");
    }
    out.push_str("\n| System | Version | What is on disk when it acknowledges |\n|---|---|---|\n");
    for subject in &results.subjects {
        let _ = writeln!(
            out,
            "| {} | {} | {} |",
            subject.system, subject.version, subject.durability
        );
    }
    out.push('\n');
    if !results.skipped.is_empty() {
        out.push_str("Left out:\n\n");
        for words in &results.skipped {
            let _ = writeln!(out, "- {}", words.replace('\n', " "));
        }
        out.push('\n');
    }
}

fn commits(out: &mut String, results: &Results, images: &str) {
    let _ = write!(
        out,
        "## Committed messages\n\n\
         ![Committed messages per second]({images}/commits.svg)\n\n\
         ![Median latency]({images}/latency.svg)\n\n"
    );
    for (replicas, bytes) in [(3, 128), (3, 1024), (5, 128)] {
        let table = Table {
            results,
            series: "commit",
            replicas,
            bytes,
        };
        let _ = write!(
            out,
            "### {replicas} voters, {bytes} bytes\n\nPer second, by messages in flight:\n\n"
        );
        let rate = |system: &str, level| Some(count(table.figure(system, level, "per_s")?));
        out.push_str(&table.rows("in flight", rate));
        out.push_str("Chatterbox over the other, in messages per second:\n\n");
        out.push_str(&table.ratios("per_s", "over"));
        out.push_str(
            "Milliseconds to the acknowledgement, p50 / p99 / p99.9 of the closed loop:\n\n",
        );
        out.push_str(&table.rows("in flight", |system, level| {
            table.latencies("", system, level)
        }));
        if (replicas, bytes) == (3, 128) {
            let _ = write!(out, "![CPU per message]({images}/cpu.svg)\n\n");
            out.push_str(
                "Microseconds of CPU per message, all servers together + the generator:\n\n",
            );
            out.push_str(&table.rows("in flight", |system, level| {
                let servers = table.figure(system, level, "server_us_per_message")?;
                let own = table.figure(system, level, "generator_us_per_message")?;
                Some(format!("{} + {}", short(servers), short(own)))
            }));
        }
        out.push_str("Lowest and highest of the rounds, per second:\n\n");
        out.push_str(&table.rows("in flight", |system, level| {
            let (low, high) = results.spread(&table.cell(system, level), "per_s")?;
            Some(format!("{} – {}", count(low), count(high)))
        }));
    }
}

fn open(out: &mut String, results: &Results) {
    out.push_str(
        "## Latency at a fixed rate\n\nOpen loop, three voters, 128 bytes, from the moment at \
         which a message was due: milliseconds, p50 / p99 / p99.9, by messages per second.\n\n",
    );
    let table = Table {
        results,
        series: "open",
        replicas: 3,
        bytes: 128,
    };
    out.push_str(&table.rows("per second", |system, level| {
        let words = table.latencies("", system, level)?;
        let overrun = table.figure(system, level, "overrun")? > 0.0;
        Some(if overrun {
            format!("{words} (cannot keep up)")
        } else {
            words
        })
    }));
}

fn web(out: &mut String, results: &Results) {
    out.push_str(
        "## Over WebSocket\n\nPeople with a socket each at one gateway, four to a room; as many \
         as messages in flight. `ack`: the sender is told; `last`: the last of the four has it. \
         Milliseconds, p50 / p99 / p99.9.\n\n",
    );
    for bytes in [128, 1024] {
        let table = Table {
            results,
            series: "web",
            replicas: 3,
            bytes,
        };
        let _ = write!(
            out,
            "{bytes} bytes:\n\n| in flight | per second | ack | last |\n|---|---|---|---|\n"
        );
        for level in table.levels() {
            let rate = table.figure(OURS, level, "per_s").map(count);
            let ack = table.latencies("", OURS, level);
            let last = table.latencies("last_", OURS, level);
            let fields = [rate, ack, last].map(|field| field.unwrap_or_else(|| "–".to_owned()));
            let _ = writeln!(out, "| {} | {} |", grouped(level), fields.join(" | "));
        }
        out.push('\n');
    }
    let table = Table {
        results,
        series: "open-web",
        replicas: 3,
        bytes: 128,
    };
    out.push_str("The same at a fixed rate (open loop, 64 sockets, 128 bytes):\n\n");
    out.push_str(&table.rows("ack, per second", |system, level| {
        table.latencies("", system, level)
    }));
    out.push_str(&table.rows("last, per second", |system, level| {
        table.latencies("last_", system, level)
    }));
}

fn fanout(out: &mut String, results: &Results, images: &str) {
    let table = Table {
        results,
        series: "fanout",
        replicas: 1,
        bytes: 128,
    };
    let _ = write!(
        out,
        "## One room, many readers\n\n![Deliveries per second]({images}/fanout.svg)\n\n\
         128 bytes, messages without pause, at most 100 on their way. Deliveries per second, and \
         in brackets microseconds of CPU per delivery of what delivers (of Chatterbox the \
         gateway) + the generator:\n\n"
    );
    out.push_str(&table.rows("readers", |system, level| {
        let rate = table.figure(system, level, "deliveries_per_s")?;
        let server = table.figure(system, level, "server_us_per_delivery")?;
        let own = table.figure(system, level, "generator_us_per_delivery")?;
        Some(format!(
            "{} ({} + {})",
            count(rate),
            short(server),
            short(own)
        ))
    }));
    out.push_str("Chatterbox over the other, in deliveries per second:\n\n");
    out.push_str(&table.ratios("deliveries_per_s", "over"));
    out.push_str(
        "Milliseconds until the last reader has it, p50 / p99 / p99.9, at 20,000 deliveries per \
         second (Chatterbox: with the commit by three voters before):\n\n",
    );
    out.push_str(&table.rows("readers", |system, level| {
        table.latencies("last_", system, level)
    }));
    let table = Table {
        results,
        series: "connections",
        replicas: 1,
        bytes: 0,
    };
    out.push_str("Connections that only wait: KiB each, and percent of a core for all:\n\n");
    out.push_str(&table.rows("connections", |system, level| {
        let kib = table.figure(system, level, "kib_per_connection")?;
        let cpu = table.figure(system, level, "cpu_percent")?;
        Some(format!("{kib:.1} KiB, {cpu:.1} %"))
    }));
}

fn idle(out: &mut String, results: &Results) {
    out.push_str("## Idle\n\nThree voters (ours: with gateway and membership), nothing to do:\n\n");
    let table = Table {
        results,
        series: "idle",
        replicas: 3,
        bytes: 0,
    };
    out.push_str("| System | MiB resident | Percent of a core |\n|---|---|---|\n");
    for system in table.systems() {
        let rss = table.figure(&system, 0, "rss_mib").unwrap_or_default();
        let cpu = table.figure(&system, 0, "cpu_percent").unwrap_or_default();
        let _ = writeln!(out, "| {system} | {rss:.0} | {cpu:.1} |");
    }
    out.push('\n');
}

fn growth(out: &mut String, results: &Results) {
    out.push_str("## A long room\n\nChatterbox, 128 bytes each, by messages in the room:\n\n");
    let table = Table {
        results,
        series: "growth",
        replicas: 3,
        bytes: 128,
    };
    let levels = table.levels();
    out.push_str("| |");
    for level in &levels {
        let _ = write!(out, " {} |", grouped(*level));
    }
    let _ = writeln!(out, "\n|---|{}", "---|".repeat(levels.len()));
    for (words, figure, unit) in [
        ("send, p50 ms", "send_p50_us", 1e-3),
        ("send, p99 ms", "send_p99_us", 1e-3),
        ("newest page, p50 ms", "newest_page_p50_us", 1e-3),
        ("newest page, p99 ms", "newest_page_p99_us", 1e-3),
        ("first page, p50 ms", "first_page_p50_us", 1e-3),
        ("search for a number, p50 ms", "search_p50_us", 1e-3),
        ("search for a number, p99 ms", "search_p99_us", 1e-3),
        (
            "search index complete after the load, ms",
            "index_lag_ms",
            1.0,
        ),
        (
            "bytes of state per message and replica",
            "state_bytes_per_message",
            1.0,
        ),
        ("`kill -9` to all served again, ms", "restart_ms", 1.0),
        ("empty disk to everything there, ms", "catch_up_ms", 1.0),
        ("filled, messages per second", "filled_per_s", 1.0),
    ] {
        let _ = write!(out, "| {words} |");
        for level in &levels {
            let value = table.figure(OURS, *level, figure).map(|value| value * unit);
            let field = value.map_or_else(|| "–".to_owned(), short);
            let _ = write!(out, " {field} |");
        }
        out.push('\n');
    }
    out.push('\n');
}

fn failover(out: &mut String, results: &Results) {
    out.push_str(
        "## The leader is killed\n\n`kill -9` under load from 16 writers (ours through the \
         gateway): how long none of them is told anything, milliseconds.\n\n\
         | System | Kills | Shortest | p50 | p99 | Longest |\n|---|---|---|---|---|---|\n",
    );
    let records = results.records.iter();
    for record in records.filter(|record| record.cell.series == "failover") {
        let at = |name: &str| {
            record
                .figures
                .get(name)
                .map_or_else(|| "–".to_owned(), |us| ms(*us))
        };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            record.cell.system,
            record.cell.level,
            at("gap_min_us"),
            at("gap_p50_us"),
            at("gap_p99_us"),
            at("gap_max_us")
        );
    }
    out.push('\n');
}

/// The document with what stands between the marks replaced.
///
/// # Errors
/// When the marks are not there.
pub fn replace(document: &str, tables: &str) -> anyhow::Result<String> {
    let parts = document.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let Some((before, after)) = parts else {
        anyhow::bail!("the document has no `{BEGIN}` … `{END}`");
    };
    Ok(format!("{before}{BEGIN}\n\n{tables}{END}{after}"))
}

#[cfg(test)]
mod tests;

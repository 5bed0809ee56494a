//! The machine and the moment, in words: a figure without them means nothing.

use std::process::Command;

/// What can be said of this machine.
#[must_use]
pub fn words() -> Vec<String> {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let gib = field(&memory, "MemTotal")
        .split_whitespace()
        .next()
        .and_then(|kib| kib.parse::<f64>().ok())
        .map_or(0.0, |kib| kib / 1024.0 / 1024.0);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("?").to_owned();
    vec![
        format!("{cores} cores, {}, {gib:.0} GiB", field(&cpu, "model name")),
        format!("Linux {}", said("uname", &["-r"])),
        format!(
            "everything on loopback, all data in {} ({})",
            std::env::temp_dir().display(),
            said(
                "stat",
                &[
                    "-f",
                    "-c",
                    "%T",
                    &std::env::temp_dir().display().to_string()
                ]
            )
        ),
        format!("began {} UTC", said("date", &["-u", "+%Y-%m-%d %H:%M"])),
        format!("load average of the minute before: {load}"),
    ]
}

fn field<'a>(text: &'a str, key: &str) -> &'a str {
    let line = text.lines().find(|line| line.starts_with(key));
    line.and_then(|line| line.split_once(':'))
        .map_or("?", |(_, value)| value.trim())
}

fn said(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    output.map_or_else(
        |_| "?".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

//! A trace as a picture: one bar per span, each under its cause. `UPDATE=1` writes it into the
//! documentation.

use super::receiver::Span;

const WIDTH: u64 = 960;
const LEFT: u64 = 230;
const RIGHT: u64 = 80;
const ROW: u64 = 24;
const TOP: u64 = 44;

/// The spans of one trace as SVG.
pub(super) fn draw(spans: &[Span]) -> String {
    let began = spans.iter().map(|span| span.began_ns).min().unwrap_or(0);
    let ended = spans.iter().map(|span| span.ended_ns).max().unwrap_or(0);
    let length = (ended - began).max(1);
    let at = |ns: u64| LEFT + (ns - began) * (WIDTH - LEFT - RIGHT) / length;
    let rows = in_order(spans);
    let height = TOP + ROW * rows.len() as u64 + 12;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
         <title>The trace of one message</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fbfbfa\"/>\n"
    );
    for quarter in 0..=4 {
        let ns = began + length * quarter / 4;
        let (x, label) = (at(ns), duration(ns - began));
        svg.push_str(&format!(
            "<path d=\"M{x} {TOP}V{}\" stroke=\"#e2e1de\"/>\
             <text x=\"{x}\" y=\"26\" text-anchor=\"middle\" fill=\"#6b6a67\">{label}</text>\n",
            height - 12
        ));
    }
    for (row, (depth, span)) in rows.into_iter().enumerate() {
        let y = TOP + ROW * row as u64;
        let (x, end) = (at(span.began_ns), at(span.ended_ns));
        let width = (end - x).max(2);
        svg.push_str(&format!(
            "<text x=\"{}\" y=\"{}\" fill=\"#23221f\">{}</text>\
             <rect x=\"{x}\" y=\"{}\" width=\"{width}\" height=\"14\" rx=\"2\" fill=\"{}\"/>\
             <text x=\"{}\" y=\"{}\" fill=\"#6b6a67\">{}</text>\n",
            12 + 14 * depth,
            y + 16,
            label(span),
            y + 5,
            colour(&span.name),
            x + width + 6,
            y + 16,
            duration(span.ended_ns - span.began_ns),
        ));
    }
    svg.push_str("</svg>\n");
    svg
}

/// Depth first, siblings in the order in which they began.
fn in_order(spans: &[Span]) -> Vec<(u64, &Span)> {
    fn under<'a>(spans: &'a [Span], parent: &str, depth: u64, rows: &mut Vec<(u64, &'a Span)>) {
        for span in spans.iter().filter(|span| span.parent == parent) {
            rows.push((depth, span));
            under(spans, &span.id, depth + 1, rows);
        }
    }
    let mut rows = Vec::new();
    let known = |id: &str| spans.iter().any(|span| span.id == id);
    for root in spans.iter().filter(|span| !known(&span.parent)) {
        rows.push((0, root));
        under(spans, &root.id, 1, &mut rows);
    }
    rows
}

fn label(span: &Span) -> String {
    match span.attributes.get("node") {
        Some(node) => format!("{} r{node}", span.name),
        None => span.name.clone(),
    }
}

fn colour(name: &str) -> &'static str {
    match name {
        "gateway.submit" | "gateway.fan_out" => "#4a7fb5",
        "leader.propose" => "#c98a2b",
        "acceptor.persist" => "#b9b6ae",
        "acceptor.fsync" => "#b5524a",
        _ => "#5a9a68",
    }
}

fn duration(ns: u64) -> String {
    format!("{:.2} ms", ns as f64 / 1e6)
}

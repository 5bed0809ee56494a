//! Lines over a logarithmic axis, as SVG that is read in light and in dark.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 600.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 290.0;

const STYLE: &str = "\
svg { --ink: light-dark(#1e1e21, #ececee); --soft: light-dark(#605e59, #a3a5ad); \
--rule: light-dark(#e6e2db, #2f3138); --ground: light-dark(#ffffff, #212328); color-scheme: light dark; \
font-family: system-ui, 'Segoe UI', Roboto, 'Noto Sans', sans-serif; font-size: 12px; }\n\
.ground { fill: var(--ground); } text { fill: var(--soft); } .ink { fill: var(--ink); }\n\
.title { fill: var(--ink); font-size: 14px; font-weight: 600; }\n\
.grid { stroke: var(--rule); } .line { fill: none; stroke-width: 2; stroke-linejoin: round; }\n\
.end { text-anchor: end; } .middle { text-anchor: middle; }\n\
.c0 { --c: light-dark(#4254c5, #98a5fa); } .c1 { --c: light-dark(#8a5a00, #f2cd8c); }\n\
.c2 { --c: light-dark(#b3261e, #ff9b91); } .c3 { --c: light-dark(#1b7a4a, #62cd96); }\n\
.c4 { --c: light-dark(#6b6577, #b9b4c6); }\n\
.line { stroke: var(--c); } .dot { fill: var(--c); stroke: var(--ground); }\n";

/// The strokes, so that lines differ without colour.
const DASHES: [&str; 5] = ["none", "7 3", "2 3", "9 3 2 3", "4 2"];

/// One line: a name and its points, by level.
#[derive(Clone, Debug)]
pub struct Line {
    /// Who.
    pub name: String,
    /// Level and value; both above 0.
    pub points: Vec<(f64, f64)>,
}

/// A chart.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// What the levels are.
    pub levels: String,
    /// The lines; at most five.
    pub lines: Vec<Line>,
}

impl Chart {
    /// The SVG; nothing when there is no point.
    #[must_use]
    pub fn svg(&self) -> Option<String> {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let mut levels: Vec<f64> = points().map(|point| point.0).collect();
        levels.sort_by(f64::total_cmp);
        levels.dedup();
        let (low, high) = decades(points().map(|point| point.1))?;
        let mut out = self.head();
        let y = |value: f64| {
            let part = (value.log10() - low) / (high - low);
            BOTTOM - (BOTTOM - TOP) * part.clamp(0.0, 1.0)
        };
        let x = |level: f64| {
            let place = levels.iter().position(|one| *one >= level).unwrap_or(0);
            LEFT + (RIGHT - LEFT) * (place as f64 + 0.5) / levels.len() as f64
        };
        let mut decade = low;
        while decade <= high {
            let at = y(10_f64.powf(decade));
            let _ = write!(
                out,
                "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{RIGHT}\"/>\n\
                 <text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\n",
                LEFT - 8.0,
                at + 4.0,
                short(10_f64.powf(decade))
            );
            decade += 1.0;
        }
        for level in &levels {
            let _ = writeln!(
                out,
                "<text class=\"middle\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                x(*level),
                BOTTOM + 18.0,
                short(*level)
            );
        }
        let mut names: Vec<(f64, usize)> = Vec::new();
        for (number, line) in self.lines.iter().enumerate() {
            let Some(last) = line.points.last() else {
                continue;
            };
            names.push((y(last.1), number));
            draw(&mut out, number, line, &x, &y);
        }
        self.label(&mut out, names);
        out.push_str("</svg>\n");
        Some(out)
    }

    fn head(&self) -> String {
        let (title, levels) = (xml(&self.title), xml(&self.levels));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             role=\"img\" aria-labelledby=\"title\">\n<title id=\"title\">{title}</title>\n\
             <style>{STYLE}</style>\n\
             <rect class=\"ground\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n\
             <text class=\"title\" x=\"12\" y=\"24\">{title}</text>\n\
             <text class=\"middle\" x=\"{:.1}\" y=\"{:.1}\">{levels}</text>\n",
            f64::midpoint(LEFT, RIGHT),
            BOTTOM + 40.0
        )
    }

    /// The names at the ends of the lines, moved apart where they would touch.
    fn label(&self, out: &mut String, mut names: Vec<(f64, usize)>) {
        names.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut free = TOP - 8.0;
        for (at, number) in names {
            let at = at.max(free);
            free = at + 16.0;
            let _ = writeln!(
                out,
                "<text class=\"ink\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                RIGHT + 8.0,
                at + 4.0,
                xml(&self.lines[number].name)
            );
        }
    }
}

fn draw(
    out: &mut String,
    number: usize,
    line: &Line,
    x: &impl Fn(f64) -> f64,
    y: &impl Fn(f64) -> f64,
) {
    let class = number % DASHES.len();
    let mut path = String::new();
    for (level, value) in &line.points {
        let step = if path.is_empty() { 'M' } else { 'L' };
        let _ = write!(path, "{step}{:.1} {:.1}", x(*level), y(*value));
    }
    let dash = DASHES[class];
    let _ = writeln!(
        out,
        "<path class=\"line c{class}\" stroke-dasharray=\"{dash}\" d=\"{path}\"/>"
    );
    for (level, value) in &line.points {
        let _ = writeln!(
            out,
            "<circle class=\"dot c{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\">\
             <title>{}: {} at {}</title></circle>",
            x(*level),
            y(*value),
            xml(&line.name),
            short(*value),
            short(*level)
        );
    }
}

/// The powers of ten around the values, at least one apart; nothing without a value above 0.
fn decades(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values.filter(|value| *value > 0.0) {
        low = low.min(value.log10().floor());
        high = high.max(value.log10().ceil());
    }
    low.is_finite().then(|| (low, high.max(low + 1.0)))
}

/// A number in few characters.
#[must_use]
pub fn short(value: f64) -> String {
    let with = |value: f64, unit: &str| {
        let digits = usize::from(value < 10.0 && value.fract() > 0.049);
        format!("{value:.digits$}{unit}")
    };
    match value {
        _ if value >= 1e6 => with(value / 1e6, "M"),
        _ if value >= 1e4 => with(value / 1e3, "k"),
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 1.0 => with(value, ""),
        _ => format!("{value:.2}"),
    }
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: &[(f64, f64)]) -> Chart {
        Chart {
            title: "a < b".to_owned(),
            levels: "in flight".to_owned(),
            lines: vec![Line {
                name: "x & y".to_owned(),
                points: points.to_vec(),
            }],
        }
    }

    /// A broken picture in the documentation is worse than none.
    #[test]
    fn it_is_well_formed_and_holds_its_points() {
        let svg = chart(&[(1.0, 3.0), (16.0, 45_000.0)]).svg().unwrap();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let circles = document
            .descendants()
            .filter(|node| node.has_tag_name("circle"));
        let mut count = 0;
        for circle in circles {
            let at = |name| circle.attribute(name).unwrap().parse::<f64>().unwrap();
            assert!((LEFT..=RIGHT).contains(&at("cx")));
            assert!((TOP..=BOTTOM).contains(&at("cy")));
            count += 1;
        }
        assert_eq!(count, 2);
        assert_eq!(chart(&[]).svg(), None);
    }

    #[test]
    fn numbers_are_short() {
        let pairs = [
            (0.37, "0.37"),
            (1.0, "1"),
            (2.5, "2.5"),
            (16.0, "16"),
            (840.4, "840"),
        ];
        for (value, text) in pairs {
            assert_eq!(short(value), text);
        }
        assert_eq!(short(10_400.0), "10k");
        assert_eq!(short(1_250_000.0), "1.2M");
    }
}

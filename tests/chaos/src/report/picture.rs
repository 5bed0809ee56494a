//! The picture as SVG: the panels below each other on one time axis.
//!
//! It is drawn in two widths, because text that is scaled down to a telephone cannot be read.

use super::axis::{Plot, span_ms, time_label, time_ticks};
use super::figures::{headline, summary};
use super::words::{length, xml};
use super::{charts, lanes};
use crate::record::Record;

/// The colours and strokes of the picture, for the page and for the document alone.
pub(super) const STYLE: &str = include_str!("picture.css");

/// Which of the two widths.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Size {
    /// 1,080: a desktop, paper.
    Wide,
    /// 340: a telephone.
    Narrow,
}

/// A picture in the making: what is drawn, and how far down.
pub(super) struct Canvas {
    /// Which width it is drawn for.
    pub(super) size: Size,
    /// The time axis and the sides.
    pub(super) plot: Plot,
    /// Where the next thing goes.
    pub(super) y: f64,
    /// What makes the ids of the two pictures of a page different.
    pub(super) prefix: &'static str,
    body: String,
}

impl Canvas {
    fn new(record: &Record, size: Size) -> Self {
        let (width, left, right, prefix) = match size {
            Size::Wide => (1_080.0, 150.0, 1_052.0, "wide"),
            Size::Narrow => (340.0, 50.0, 318.0, "narrow"),
        };
        let plot = Plot {
            width,
            left,
            right,
            span_ms: span_ms(record),
        };
        Self {
            size,
            plot,
            y: 8.0,
            prefix,
            body: String::new(),
        }
    }

    /// Adds an element.
    pub(super) fn add(&mut self, element: &str) {
        self.body.push_str(element);
        self.body.push('\n');
    }

    /// Adds a rectangle of a class; `title` is what a pointer over it shows.
    pub(super) fn band(&mut self, class: &str, at: (f64, f64), size: (f64, f64), title: &str) {
        let ((x, y), (width, height)) = (at, size);
        self.add(&format!(
            "<rect class=\"{class}\" x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" \
             height=\"{height:.2}\"{}><title>{}</title></rect>",
            self.fill(class),
            xml(title)
        ));
    }

    /// Patterns are named by id, and ids differ between the two pictures of a page.
    fn fill(&self, class: &str) -> String {
        match class {
            "band skipped" => format!(" fill=\"url(#{}-hatch)\"", self.prefix),
            "band indeterminate" => format!(" fill=\"url(#{}-dots)\"", self.prefix),
            _ => String::new(),
        }
    }

    /// Adds text of a class at a point.
    pub(super) fn text(&mut self, class: &str, x: f64, y: f64, text: &str) {
        self.add(&format!(
            "<text class=\"{class}\" x=\"{x:.2}\" y=\"{y:.2}\">{}</text>",
            xml(text)
        ));
    }

    /// Adds a straight line of a class.
    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.add(&format!(
            "<path class=\"{class}\" d=\"M{:.2} {:.2}L{:.2} {:.2}\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    /// The heading of a panel and what its signs mean; moves down below them.
    pub(super) fn heading(&mut self, title: &str, legend: &[(Sign, String)]) {
        let start = match self.size {
            Size::Wide => self.plot.left,
            Size::Narrow => 4.0,
        };
        self.y += 20.0;
        self.text("heading", start, self.y, title);
        let mut x = match self.size {
            Size::Wide => start + title.chars().count() as f64 * 7.6 + 24.0,
            Size::Narrow => self.plot.width,
        };
        for (sign, words) in legend {
            let width = 24.0 + words.chars().count() as f64 * 6.4;
            if x + width > self.plot.width - 4.0 {
                x = start;
                self.y += 18.0;
            }
            self.sign(*sign, x, self.y - 4.0);
            self.text("key", x + 22.0, self.y, words);
            x += width + 14.0;
        }
        self.y += 10.0;
    }

    /// A sign of the legend, 16 wide, with its middle at `y`.
    fn sign(&mut self, sign: Sign, x: f64, y: f64) {
        match sign {
            Sign::Line(class) => self.line(class, (x, y), (x + 16.0, y)),
            Sign::Band(class) => self.band(class, (x, y - 5.0), (16.0, 10.0), ""),
            Sign::Mark(kind) => self.mark(kind, x + 8.0, y, ""),
            Sign::Span => self.span(x, y, 16.0),
        }
    }

    /// The mark of something that the cluster did, with its middle at a point.
    pub(super) fn mark(&mut self, kind: &str, x: f64, y: f64, title: &str) {
        let (class, outline) = match kind {
            "election" => ("election", "m0 -5l5.5 9.5h-11z"),
            "suspicion" => ("suspicion", "m0 -5.5l5.5 5.5l-5.5 5.5l-5.5 -5.5z"),
            "replacement" => ("replacement", "m-4.5 -4.5h9v9h-9z"),
            _ => ("other", "m-4 -4l8 8m-8 0l8 -8"),
        };
        self.add(&format!(
            "<path class=\"mark {class}\" d=\"M{x:.2} {y:.2}{outline}\"><title>{}</title></path>",
            xml(title)
        ));
    }

    /// A measured length, with ends.
    pub(super) fn span(&mut self, x: f64, y: f64, width: f64) {
        self.add(&format!(
            "<path class=\"span\" d=\"M{x:.2} {:.2}v8m0 -4h{width:.2}m0 -4v8\"/>",
            y - 4.0
        ));
    }

    fn time_axis(&mut self, top: f64) -> String {
        let count_max = match self.size {
            Size::Wide => 12,
            Size::Narrow => 5,
        };
        let (plot, bottom) = (self.plot, self.y);
        let mut grid = String::new();
        self.y += 16.0;
        for tick in time_ticks(plot.span_ms, count_max) {
            let x = plot.x(tick);
            grid.push_str(&format!(
                "<path class=\"grid\" d=\"M{x:.2} {top:.2}V{bottom:.2}\"/>\n"
            ));
            let label = time_label(tick, plot.span_ms);
            self.text("tick middle", x, self.y, &label);
        }
        self.y += 16.0;
        self.text("tick end", plot.right, self.y, "time since load began");
        self.y += 8.0;
        grid
    }
}

/// What stands before a word of a legend.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sign {
    /// A line of this class.
    Line(&'static str),
    /// A rectangle of this class.
    Band(&'static str),
    /// The mark of this kind.
    Mark(&'static str),
    /// A measured length.
    Span,
}

/// The picture inside a page.
pub(super) fn inline(record: &Record, size: Size) -> String {
    draw(record, size, "")
}

/// The picture as a file of its own, with its style and its ground.
pub(super) fn document(record: &Record) -> String {
    let own = format!("<style>:root {{ color-scheme: light dark; }}\n{STYLE}</style>\n");
    draw(record, Size::Wide, &own)
}

fn draw(record: &Record, size: Size, own: &str) -> String {
    let mut canvas = Canvas::new(record, size);
    // The legend of the first panel needs a line of its own in the narrow picture.
    let below_first_heading = match size {
        Size::Wide => 38.0,
        Size::Narrow => 56.0,
    };
    charts::throughput(&mut canvas, record);
    charts::latency(&mut canvas, record);
    lanes::cluster(&mut canvas, record);
    lanes::faults(&mut canvas, record);
    let grid = canvas.time_axis(below_first_heading);
    let (width, height, prefix) = (canvas.plot.width, canvas.y.ceil(), canvas.prefix);
    let words = format!(
        "{}. {} Throughput, latency, elections, suspicions, replacements, failover gaps and \
         faults over time. Longest gap that a client saw: {}. The tables of the report say the \
         same in words.",
        headline(record),
        summary(record),
        length(record.verdict.longest_gap_ms)
    );
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"picture {prefix}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-labelledby=\"{prefix}-title {prefix}-words\">\n\
         <title id=\"{prefix}-title\">What clients saw while faults were there</title>\n\
         <desc id=\"{prefix}-words\">{}</desc>\n{own}{}\
         <rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>\n{grid}{}</svg>\n",
        xml(&words),
        patterns(prefix),
        canvas.body
    )
}

/// The fills that tell states apart without colour.
fn patterns(prefix: &str) -> String {
    format!(
        "<defs>\n<pattern id=\"{prefix}-hatch\" width=\"5\" height=\"5\" \
         patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
         <path class=\"hatch\" d=\"M1 0v5\"/></pattern>\n\
         <pattern id=\"{prefix}-dots\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\">\
         <circle class=\"dot\" cx=\"2.5\" cy=\"2.5\" r=\"1.2\"/></pattern>\n</defs>\n"
    )
}

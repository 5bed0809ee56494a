//! The report of a run: a page, its picture, and its tables as Markdown.
//!
//! Pure: from a [`Record`] to text, the same each time. The page is complete in itself, it loads
//! nothing. All text of the record is escaped, so a message that broke the product cannot break
//! its report.

mod axis;
mod charts;
pub(crate) mod figures;
mod lanes;
mod markdown;
mod page;
mod picture;
mod words;

use crate::record::Record;

/// One HTML page with the verdict, the picture, the key figures and all faults.
#[must_use]
pub fn html(record: &Record) -> String {
    page::draw(record)
}

/// The picture alone, as a complete SVG document 1,080 wide.
#[must_use]
pub fn svg(record: &Record) -> String {
    picture::document(record)
}

/// The verdict and the tables as Markdown.
#[must_use]
pub fn markdown(record: &Record) -> String {
    markdown::draw(record)
}

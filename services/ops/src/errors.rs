//! Errors in words.

use std::error::Error;

/// An error and its causes as one sentence: `a: b: c`. A cause that its parent repeats is
/// said once.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let words = next.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::chain;

    #[derive(Debug, thiserror::Error)]
    #[error("open the log")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn reads_as_one_sentence() {
        let error = Outer(std::io::Error::other("no such file"));
        assert_eq!(chain(&error), "open the log: no such file");
    }
}

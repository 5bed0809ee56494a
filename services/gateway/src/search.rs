//! The language of the search field: words, "phrases", `-without`, `from:`, `in:`, `before:`,
//! `after:` (docs/protocol.md 1.1).
//!
//! In: what a person typed. Out: what a replica is asked. Anything is allowed but a question
//! without a word: an operator that is not known is a word like any other.

use crate::errors::Error;
use crate::limits::SEARCH_CHARS_MAX;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A question, in parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) words: Vec<String>,
    pub(crate) without: Vec<String>,
    pub(crate) from: Option<String>,
    pub(crate) in_room: Option<String>,
    /// Written before this moment, milliseconds since 1970.
    pub(crate) before_ms: Option<u64>,
    /// Written at this moment or later.
    pub(crate) after_ms: Option<u64>,
}

/// Reads what was typed.
pub(crate) fn parse(typed: &str) -> Result<Question, Error> {
    if typed.chars().take(SEARCH_CHARS_MAX + 1).count() > SEARCH_CHARS_MAX {
        return Err(Error::bad_request(format!(
            "q: at most {SEARCH_CHARS_MAX} characters are allowed"
        )));
    }
    let mut question = Question::default();
    for token in tokens(typed) {
        let Token {
            negated,
            operator,
            text,
        } = token;
        match operator.as_str() {
            "from" | "in" | "before" | "after" if negated => {
                return Err(Error::bad_request(
                    "q: - goes with words, not with operators",
                ));
            }
            "from" => question.from = Some(text.trim_start_matches('@').to_owned()),
            "in" => question.in_room = Some(text.trim_start_matches('#').to_owned()),
            "before" => question.before_ms = Some(day(&text, "before")?),
            "after" => question.after_ms = Some(day(&text, "after")?),
            _ if negated => question.without.push(text),
            _ => question.words.push(text),
        }
    }
    let is_word = |word: &String| word.chars().any(char::is_alphanumeric);
    if !question.words.iter().any(is_word) {
        return Err(Error::bad_request("q: at least one word is needed"));
    }
    Ok(question)
}

#[derive(Debug, Default)]
struct Token {
    negated: bool,
    operator: String,
    text: String,
}

const OPERATORS: [&str; 4] = ["from", "in", "before", "after"];

/// White space ends a token, but not within quotes.
fn tokens(typed: &str) -> Vec<Token> {
    let (mut tokens, mut rest) = (Vec::new(), typed.trim_start());
    while !rest.is_empty() {
        let mut token = Token::default();
        if let Some(behind) = rest.strip_prefix('-')
            && !behind.starts_with(char::is_whitespace)
        {
            (token.negated, rest) = (true, behind);
        }
        for operator in OPERATORS {
            let found = rest
                .get(..operator.len())
                .is_some_and(|word| word.eq_ignore_ascii_case(operator));
            let behind = rest.get(operator.len()..).unwrap_or_default();
            if found && let Some(behind) = behind.strip_prefix(':') {
                (token.operator, rest) = (operator.to_owned(), behind);
                break;
            }
        }
        let (text, behind) = match rest.strip_prefix('"') {
            // Quotes that are not closed yet end with the text.
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        token.text = text.to_owned();
        rest = behind.trim_start();
        if !token.text.trim().is_empty() {
            tokens.push(token);
        }
    }
    tokens
}

/// The beginning of a day of UTC, written as `2026-11-26`.
fn day(text: &str, operator: &str) -> Result<u64, Error> {
    let wrong = || {
        Error::bad_request(format!(
            "q: {operator}: a day like 2026-11-26 is needed, from 1970 on"
        ))
    };
    let mut parts = text.splitn(3, '-').map(str::parse::<u64>);
    let (Some(Ok(year)), Some(Ok(month)), Some(Ok(day))) =
        (parts.next(), parts.next(), parts.next())
    else {
        return Err(wrong());
    };
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) {
        return Err(wrong());
    }
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let february = if is_leap { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before: u64 = months.iter().take(month as usize - 1).sum();
    if !(1..=months[month as usize - 1]).contains(&day) {
        return Err(wrong());
    }
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let days = (year - 1970) * 365 + leaps(year - 1) - leaps(1969) + before + day - 1;
    Ok(days * DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn operators_and_quotes_are_read() {
        let question = parse(
            r#"lost "slot 48" from:"Ann Lee" In:#general -draft -"not this" after:2026-11-26 c++"#,
        );
        let question = question.unwrap();
        assert_eq!(question.words, words(&["lost", "slot 48", "c++"]));
        assert_eq!(question.without, words(&["draft", "not this"]));
        assert_eq!(question.from.as_deref(), Some("Ann Lee"));
        assert_eq!(question.in_room.as_deref(), Some("general"));
        assert_eq!(question.after_ms, Some(1_795_651_200_000));
        assert_eq!(parse("\"open").unwrap().words, words(&["open"]));
        assert_eq!(
            parse("http://x a:b").unwrap().words,
            words(&["http://x", "a:b"])
        );
        assert_eq!(parse("- a").unwrap().words, words(&["-", "a"]));
    }

    #[test]
    fn days_are_days() {
        assert_eq!(day("1970-01-01", "x").unwrap(), 0);
        assert_eq!(day("2000-03-01", "x").unwrap(), 951_868_800_000);
        assert_eq!(day("2024-02-29", "x").unwrap(), 1_709_164_800_000);
        for wrong in [
            "",
            "2026",
            "2026-13-01",
            "2025-02-29",
            "1969-12-31",
            "2026-1-0",
            "x-y-z",
        ] {
            assert!(day(wrong, "x").is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_question_needs_a_word() {
        for typed in ["", "  ", "from:ann", "-word", "!!", "before:2026-01-01"] {
            assert!(parse(typed).is_err(), "{typed:?}");
        }
        assert!(parse(&"x".repeat(SEARCH_CHARS_MAX + 1)).is_err());
    }
}

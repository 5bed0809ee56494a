//! What is right is believed: whatever is drawn, and from a folder as from memory.

use checker::synthetic::{History, Size};
use proptest::prelude::*;

const SMALL: Size = Size {
    clients: 4,
    rooms: 3,
    steps: 60,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A checker that cries wolf is switched off.
    #[test]
    fn a_correct_history_is_believed(seed in any::<u64>(), rooms in 1_usize..6) {
        let report = History::generate(seed, Size { rooms, ..SMALL }).check();
        prop_assert!(report.holds(), "seed {seed}: {report}");
    }
}

/// What is written is what is read, and the figures say what was looked at.
#[test]
fn a_folder_is_judged_as_what_is_in_it() -> anyhow::Result<()> {
    let history = History::generate(7, SMALL);
    let folder = tempfile::tempdir()?;
    history.write(folder.path())?;
    let read = checker::check(folder.path())?;
    let (figures, direct) = (&read.figures, history.check().figures);
    assert!(read.holds(), "{read}");
    assert_eq!(*figures, direct);
    assert!(figures.acknowledged > 30 && figures.refused > 0, "{read}");
    assert!(figures.unknown > figures.unknown_but_there, "{read}");
    assert!(figures.sent_in_outage > 0 && figures.resent > 0, "{read}");
    assert_eq!(figures.whole_reads, 6);
    assert_eq!(figures.states, 3);
    Ok(())
}

/// A folder that is none, and a line that is none, are errors that name the place.
#[test]
fn what_cannot_be_read_is_named() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let error = checker::check(folder.path()).expect_err("empty");
    assert!(error.to_string().contains("holds no history"), "{error}");
    History::generate(7, SMALL).write(folder.path())?;
    let path = folder.path().join("clients/w1.jsonl");
    let text = std::fs::read_to_string(&path)?;
    let cut = text.len() - 5;
    std::fs::write(&path, &text[..cut])?;
    let error = format!("{:#}", checker::check(folder.path()).expect_err("cut off"));
    assert!(error.contains("w1.jsonl line"), "{error}");
    Ok(())
}

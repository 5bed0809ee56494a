//! What a typed line means.

/// What the person wishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Say(String),
    Rooms,
    Join(String),
    Create(String),
    Leave,
    Who,
    Help,
    Quit,
    Nothing,
    /// Words that say what is wrong with it.
    Wrong(String),
}

pub(super) const HELP: &str = "\
/rooms          every room that you may join
/join ROOM      go to a room
/create ROOM    make a room
/leave          leave this room
/who            who is in this room
/quit           end (or Ctrl+D)
Anything else is sent. A line that begins with // is sent with one /.";

pub(super) fn parse(line: &str) -> Command {
    if line.trim().is_empty() {
        return Command::Nothing;
    }
    let Some(rest) = line.strip_prefix('/') else {
        return Command::Say(line.to_owned());
    };
    if rest.starts_with('/') {
        return Command::Say(rest.to_owned());
    }
    let (word, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let argument = argument.trim().trim_start_matches('#').to_owned();
    match (word, argument.is_empty()) {
        ("join" | "create", true) => Command::Wrong(format!("/{word} needs the name of a room")),
        ("join" | "room", false) => Command::Join(argument),
        ("create", false) => Command::Create(argument),
        ("rooms" | "list", _) => Command::Rooms,
        ("leave", _) => Command::Leave,
        ("who" | "members", _) => Command::Who,
        ("help" | "?", _) => Command::Help,
        ("quit" | "exit" | "q", _) => Command::Quit,
        _ => Command::Wrong(format!("there is no /{word}; /help lists what there is")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Command, parse};

    #[test]
    fn reads_commands_and_leaves_text_alone() {
        for (line, expected) in [
            ("", Command::Nothing),
            ("  ", Command::Nothing),
            (" hello ", Command::Say(" hello ".to_owned())),
            ("//join", Command::Say("/join".to_owned())),
            ("/join #general", Command::Join("general".to_owned())),
            ("/create  tea ", Command::Create("tea".to_owned())),
            ("/rooms", Command::Rooms),
            ("/leave", Command::Leave),
            ("/who", Command::Who),
            ("/help", Command::Help),
            ("/quit", Command::Quit),
        ] {
            assert_eq!(parse(line), expected, "{line:?}");
        }
        for wrong in ["/join", "/create ", "/nonsense"] {
            assert!(matches!(parse(wrong), Command::Wrong(_)), "{wrong}");
        }
    }
}

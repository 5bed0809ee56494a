//! What the demo's people do, in this order.

/// Who they are. On a cluster without accounts the first one becomes the owner.
pub(super) const PEOPLE: [&str; 5] = [MIRA, JONAS, AIKO, SAM, LENA];

const MIRA: &str = "Mira";
const JONAS: &str = "Jonas";
const AIKO: &str = "Aiko";
const SAM: &str = "Sam Osei";
const LENA: &str = "Léna";

/// A room and who is in it; the first one makes it.
pub(super) struct Room {
    pub(super) name: &'static str,
    pub(super) topic: &'static str,
    pub(super) people: &'static [&'static str],
}

pub(super) const ROOMS: [Room; 3] = [
    Room {
        name: "launch",
        topic: "Version 2 goes out on Thursday. Decisions are pinned.",
        people: &[MIRA, JONAS, AIKO, SAM, LENA],
    },
    Room {
        name: "incidents",
        topic: "What broke, what we did, what we learned",
        people: &[SAM, MIRA, AIKO, JONAS],
    },
    Room {
        name: "tea-kitchen",
        topic: "Everything that is not work",
        people: &[LENA, MIRA, JONAS, AIKO, SAM],
    },
];

/// One thing that somebody does. `name` is how later acts call a message.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    Say {
        name: &'static str,
        by: &'static str,
        room: &'static str,
        body: &'static str,
    },
    Reply {
        name: &'static str,
        by: &'static str,
        to: &'static str,
        body: &'static str,
    },
    React {
        by: &'static str,
        to: &'static str,
        emoji: &'static str,
    },
    Edit {
        by: &'static str,
        of: &'static str,
        body: &'static str,
    },
    Pin {
        by: &'static str,
        of: &'static str,
    },
}

const fn say(name: &'static str, by: &'static str, room: &'static str, body: &'static str) -> Act {
    Act::Say {
        name,
        by,
        room,
        body,
    }
}

const fn reply(name: &'static str, by: &'static str, to: &'static str, body: &'static str) -> Act {
    Act::Reply { name, by, to, body }
}

const fn react(by: &'static str, to: &'static str, emoji: &'static str) -> Act {
    Act::React { by, to, emoji }
}

const fn pin(by: &'static str, of: &'static str) -> Act {
    Act::Pin { by, of }
}

const fn edit(by: &'static str, of: &'static str, body: &'static str) -> Act {
    Act::Edit { by, of, body }
}

/// In which room a message of the script is.
pub(super) fn room_of(name: &str) -> Option<&'static str> {
    ACTS.iter().find_map(|act| match *act {
        Act::Say {
            name: said, room, ..
        } if said == name => Some(room),
        Act::Reply { name: said, to, .. } if said == name => room_of(to),
        _ => None,
    })
}

pub(super) const ACTS: &[Act] = &[
    say(
        "l1",
        MIRA,
        "launch",
        "Good morning! Two days to go. What is still open?",
    ),
    say(
        "l2",
        JONAS,
        "launch",
        "The import of old rooms. Works, but 10 000 messages take **40 s**.",
    ),
    say(
        "l3",
        AIKO,
        "launch",
        "That is the index. Building it after the import instead of beside it:\n\n```rust\nlet rooms = import(&archive)?;\nfor room in rooms {\n    index.add(room.id, room.messages())?;\n}\n```",
    ),
    reply("l4", JONAS, "l3", "6 s now. Thank you!"),
    reply(
        "l5",
        AIKO,
        "l3",
        "The disk does the rest; I would leave it there.",
    ),
    react(MIRA, "l4", "🎉"),
    react(SAM, "l4", "🎉"),
    react(LENA, "l4", "🚀"),
    say(
        "l6",
        LENA,
        "launch",
        "Texts in German and English are in. Somebody should read the ones for errors with fresh eyes.",
    ),
    say("l7", SAM, "launch", "I can do that after lunch."),
    say(
        "l8",
        MIRA,
        "launch",
        "List for Thursday:\n\n- [x] import\n- [x] texts\n- [ ] try the restore once more\n- [ ] tell the customers",
    ),
    say("l9", SAM, "launch", "The restore is mine, this afternoon."),
    say(
        "l10",
        MIRA,
        "launch",
        "**Decision:** we go on Thursday at 10:00, and only if the restore has worked twice.",
    ),
    pin(MIRA, "l10"),
    react(JONAS, "l10", "👍"),
    react(AIKO, "l10", "👍"),
    react(SAM, "l10", "👍"),
    react(LENA, "l10", "👍"),
    say("l11", JONAS, "launch", "@Mira who writes to the customers?"),
    say(
        "l12",
        MIRA,
        "launch",
        "Léna has a draft. @Léna can you put it here?",
    ),
    say(
        "l13",
        LENA,
        "launch",
        "> Version 2 keeps every message while a machine dies. You need not do anything.\n\nMore than two sentences nobody reads.",
    ),
    react(AIKO, "l13", "💯"),
    reply(
        "l14",
        SAM,
        "l13",
        "\"You need not do anything\" is my favourite feature.",
    ),
    say("l15", SAM, "launch", "Restore: worked, 3 min 12 s."),
    edit(
        SAM,
        "l15",
        "Restore: worked twice, 3 min 12 s and 3 min 5 s.",
    ),
    react(MIRA, "l15", "✅"),
    say(
        "i1",
        SAM,
        "incidents",
        "02:14 r2 is gone, its machine does not answer. Nobody needs to get up: r1 leads, two of three are there.",
    ),
    say(
        "i2",
        SAM,
        "incidents",
        "02:14 was the alarm, 02:14 was also the election. Writing stood still for less than a second.",
    ),
    reply(
        "i3",
        AIKO,
        "i2",
        "From the log: `0.41 s without a leader`. Nothing lost, nothing twice.",
    ),
    react(JONAS, "i3", "👀"),
    say("i4", MIRA, "incidents", "Do we know why?"),
    say(
        "i5",
        SAM,
        "incidents",
        "A power supply. The new one comes on Wednesday; until then a standby votes in its place.",
    ),
    say(
        "i6",
        AIKO,
        "incidents",
        "| what | when |\n|---|---|\n| r2 silent | 02:14:03 |\n| r1 leads | 02:14:04 |\n| standby votes | 02:15:10 |",
    ),
    pin(SAM, "i6"),
    say(
        "i7",
        JONAS,
        "incidents",
        "And whoever chatted at that time?",
    ),
    say(
        "i8",
        SAM,
        "incidents",
        "Léna did. She noticed nothing, which is the point.",
    ),
    react(MIRA, "i8", "😄"),
    say(
        "i9",
        MIRA,
        "incidents",
        "What we learned: two of three is enough, and the spare part belongs into the cupboard, not into a catalogue.",
    ),
    react(SAM, "i9", "👍"),
    say(
        "k1",
        LENA,
        "tea-kitchen",
        "There is cake 🍰 in the kitchen. The lemon one.",
    ),
    react(JONAS, "k1", "🍋"),
    react(SAM, "k1", "😍"),
    react(AIKO, "k1", "😍"),
    say("k2", JONAS, "tea-kitchen", "How much of it?"),
    say(
        "k3",
        LENA,
        "tea-kitchen",
        "Enough, if a majority is honest.",
    ),
    say(
        "k4",
        AIKO,
        "tea-kitchen",
        "A quorum of two has taken theirs. ||I have no comment.||",
    ),
    edit(
        AIKO,
        "k4",
        "A quorum of two has taken theirs. I have no comment.",
    ),
    say(
        "k5",
        SAM,
        "tea-kitchen",
        "Who comes along to the lake on Saturday? The train leaves at 9:32.",
    ),
    reply("k6", MIRA, "k5", "Me, with a dog."),
    reply("k7", LENA, "k5", "Me, because of the dog."),
    react(AIKO, "k5", "🏊"),
    say(
        "k8",
        JONAS,
        "tea-kitchen",
        "Found on the way to work: <https://paxos.example.org/island>. An island that passes its laws without everybody being there.",
    ),
    say("k9", AIKO, "tea-kitchen", "Sounds made up."),
    say(
        "k10",
        MIRA,
        "tea-kitchen",
        "@room thank you for this week. See you on Thursday, with coffee ☕",
    ),
    react(LENA, "k10", "❤️"),
    react(SAM, "k10", "❤️"),
    react(JONAS, "k10", "☕"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A mistake in the script would stop a demo in the middle.
    #[test]
    fn everybody_is_in_the_room_and_speaks_of_what_was_said() {
        let mut said = BTreeSet::new();
        for act in ACTS {
            let (by, room) = match *act {
                Act::Say { name, by, room, .. } => {
                    assert!(said.insert(name), "{name} is said twice");
                    (by, Some(room))
                }
                Act::Reply { name, by, to, .. } => {
                    assert!(said.contains(to), "{to} is answered before it is said");
                    assert!(said.insert(name), "{name} is said twice");
                    (by, room_of(to))
                }
                Act::React { by, to, .. } => (by, room_of(to).filter(|_| said.contains(to))),
                Act::Edit { by, of, .. } | Act::Pin { by, of } => {
                    (by, room_of(of).filter(|_| said.contains(of)))
                }
            };
            let room = room.unwrap_or_else(|| panic!("{act:?} is about nothing"));
            let room = ROOMS.iter().find(|one| one.name == room).expect(room);
            assert!(room.people.contains(&by), "{by} is not in {}", room.name);
            assert!(PEOPLE.contains(&by));
        }
    }

    #[test]
    fn only_authors_edit() {
        for act in ACTS {
            let Act::Edit { by, of, .. } = act else {
                continue;
            };
            let author = ACTS.iter().find_map(|act| match act {
                Act::Say { name, by, .. } if name == of => Some(by),
                _ => None,
            });
            assert_eq!(author, Some(by), "{of}");
        }
    }
}

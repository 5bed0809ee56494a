//! Who waits for which command, and what each of them is told.

use super::*;
use proto::v1::{Done, outcome};

fn command(number: u8) -> Command {
    Command {
        cid: vec![number; 16].into(),
        author: 7,
        ..Command::default()
    }
}

fn submission(number: u8, progress: bool, stream: &Arc<ReplyStream>) -> Submission {
    let command = command(number);
    let key = Key::of(&command).expect("16 bytes");
    Submission {
        key,
        command,
        bytes: 20,
        progress,
        stream: Arc::clone(stream),
        trace: None,
    }
}

fn done(number: u8) -> Outcome {
    Outcome {
        cid: vec![number; 16],
        author: 7,
        slot: 1024,
        duplicate: false,
        result: Some(outcome::Result::Done(Done {})),
    }
}

fn received(receiver: &mut mpsc::Receiver<Vec<SubmitResponse>>) -> Vec<Kind> {
    let mut kinds = Vec::new();
    while let Ok(answers) = receiver.try_recv() {
        kinds.extend(answers.into_iter().filter_map(|answer| answer.kind));
    }
    kinds
}

#[test]
fn an_outcome_goes_to_all_who_sent_the_command_and_once() {
    let waiters = Waiters::default();
    let (first, mut to_first) = ReplyStream::new();
    let (second, mut to_second) = ReplyStream::new();
    assert_eq!(waiters.enter(vec![submission(1, false, &first)]).len(), 1);
    let again = waiters.enter(vec![submission(1, false, &second)]);
    assert!(
        again.is_empty(),
        "the retry of what is under way is not proposed again"
    );

    waiters.resolve([done(1), done(1)]);
    assert_eq!(received(&mut to_first), [Kind::Outcome(done(1))]);
    let repeated = Outcome {
        duplicate: true,
        ..done(1)
    };
    assert_eq!(received(&mut to_second), [Kind::Outcome(repeated)]);
}

#[test]
fn progress_goes_to_those_who_want_it() {
    let waiters = Waiters::default();
    let (quiet, mut to_quiet) = ReplyStream::new();
    let (curious, mut to_curious) = ReplyStream::new();
    let fresh = waiters.enter(vec![
        submission(1, false, &quiet),
        submission(2, true, &curious),
    ]);
    let keys: Vec<Key> = fresh.iter().map(|fresh| fresh.key).collect();
    waiters.progress(&keys, Slot(1024), Stage::Proposed);
    assert!(received(&mut to_quiet).is_empty());
    match received(&mut to_curious).as_slice() {
        [Kind::Progress(progress)] => assert_eq!(progress.stage(), Stage::Proposed),
        other => panic!("one stage: {other:?}"),
    }
}

#[test]
fn a_refusal_ends_the_wait_and_names_the_leader() {
    let waiters = Waiters::default();
    let (stream, mut answers) = ReplyStream::new();
    let fresh = waiters.enter(vec![submission(1, false, &stream)]);
    waiters.refuse(&[fresh[0].key], Reason::NotLeader, Some(NodeId(3)));
    waiters.resolve([done(1)]);
    match received(&mut answers).as_slice() {
        [Kind::NotAccepted(refusal)] => {
            assert_eq!(refusal.reason(), Reason::NotLeader);
            assert_eq!(refusal.leader, 3);
        }
        other => panic!("one refusal and nothing after it: {other:?}"),
    }
}

#[test]
fn a_stop_refuses_old_and_new() {
    let waiters = Waiters::default();
    let (stream, mut answers) = ReplyStream::new();
    waiters.enter(vec![submission(1, false, &stream)]);
    waiters.close();
    assert!(
        waiters
            .enter(vec![submission(2, false, &stream)])
            .is_empty()
    );
    let reasons: Vec<Reason> = received(&mut answers)
        .into_iter()
        .map(|kind| match kind {
            Kind::NotAccepted(refusal) => refusal.reason(),
            other => panic!("a refusal: {other:?}"),
        })
        .collect();
    assert_eq!(reasons, [Reason::ShuttingDown, Reason::ShuttingDown]);
}

#[test]
fn the_number_of_waiters_is_bounded_and_the_gone_are_swept() {
    let waiters = Waiters::default();
    let (stream, answers) = ReplyStream::new();
    let many = (0..WAITERS_MAX as u64).map(|number| {
        let mut cid = [0; 16];
        cid[..8].copy_from_slice(&number.to_le_bytes());
        let command = Command {
            cid: cid.to_vec().into(),
            author: 1,
            ..Command::default()
        };
        let key = Key { author: 1, cid };
        Submission {
            key,
            command,
            bytes: 20,
            progress: false,
            stream: Arc::clone(&stream),
            trace: None,
        }
    });
    assert_eq!(waiters.enter(many.collect()).len(), WAITERS_MAX);

    let (other, mut to_other) = ReplyStream::new();
    assert!(waiters.enter(vec![submission(9, false, &other)]).is_empty());
    match received(&mut to_other).as_slice() {
        [Kind::NotAccepted(refusal)] => assert_eq!(refusal.reason(), Reason::Overloaded),
        found => panic!("overloaded: {found:?}"),
    }

    drop(answers);
    waiters.sweep();
    assert_eq!(waiters.enter(vec![submission(9, false, &other)]).len(), 1);
}

#[test]
fn progress_gives_way_to_answers_when_the_reader_is_slow() {
    let (stream, mut answers) = ReplyStream::new();
    let key = Key {
        author: 1,
        cid: [1; 16],
    };
    for _ in 0..3 * STREAM_OUTSTANDING_MAX {
        stream.send(vec![progress(&key, Slot(1024), Stage::Chosen)]);
    }
    for _ in 0..STREAM_OUTSTANDING_MAX {
        stream.send(vec![not_accepted(&key, Reason::Overloaded, None)]);
    }
    let finals = received(&mut answers)
        .into_iter()
        .filter(|kind| matches!(kind, Kind::NotAccepted(_)));
    assert_eq!(finals.count(), STREAM_OUTSTANDING_MAX);
}

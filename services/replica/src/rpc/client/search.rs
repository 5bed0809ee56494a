//! Searches, from the wire and back.

use machine::limits::SEARCH_HITS_MAX;
use machine::search::{Hit, Hits, Search};
use proto::v1 as pb;

use crate::errors::Refused;

/// What is sought, and how many hits are wanted.
pub(super) fn wanted(request: pb::SearchRequest) -> Result<(Search, usize), Refused> {
    let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
    if !(1..=SEARCH_HITS_MAX).contains(&limit) {
        return Err(Refused::Bad(format!(
            "limit is {limit}, 1 to {SEARCH_HITS_MAX} are possible"
        )));
    }
    let given = |name: String| (!name.is_empty()).then_some(name);
    let known = |number: u64| (number > 0).then_some(number);
    let wanted = Search {
        words: request.words,
        without: request.without,
        from: given(request.from),
        in_room: given(request.in_room),
        before_ms: known(request.before_ms),
        after_ms: known(request.after_ms),
        cursor: known(request.cursor),
    };
    Ok((wanted, limit))
}

/// What was found.
pub(super) fn response(hits: Hits) -> pb::SearchResponse {
    pb::SearchResponse {
        hits: hits.hits.into_iter().map(hit).collect(),
        next: hits.next.unwrap_or(0),
        indexed: hits.indexed.0,
        applied: hits.applied.0,
    }
}

fn hit(hit: Hit) -> pb::SearchHit {
    let piece = |piece: machine::search::Piece| pb::SnippetPiece {
        text: piece.text,
        hit: piece.hit,
    };
    pb::SearchHit {
        room: hit.room.0,
        room_name: hit.room_name,
        seq: hit.seq.0,
        timestamp_ms: hit.timestamp_ms,
        author: hit.author.0,
        author_name: hit.author_name,
        snippet: hit.snippet.into_iter().map(piece).collect(),
    }
}

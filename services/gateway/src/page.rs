//! The page, embedded in the binary (read from web/dist at run time in a debug build).
//!
//! In: `GET` of any path that is not the API's. Out: a file, or `index.html` for paths that
//! the page itself knows.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use rust_embed::{Embed, EmbeddedFile};

use crate::errors::Error;
use crate::frames::ErrorCode;

const INDEX: &str = "index.html";
/// Where the web build puts files whose names change with their content.
const HASHED: &str = "assets/";
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const ASK_AGAIN: &str = "no-cache";

const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
<title>Chatterbox</title><h1>The gateway runs; the page is not built</h1>\
<p>Build it with <code>make page</code> (or <code>cd web &amp;&amp; npm ci &amp;&amp; npm run build</code>) \
and build the gateway again. The API and <code>/ws</code> work without it.</p>";

#[derive(Embed)]
#[folder = "../../web/dist"]
struct Dist;

/// Whatever no route took.
pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    let reads = matches!(method, Method::GET | Method::HEAD);
    if !reads || path.starts_with("api/") || path.starts_with("health/") {
        return Error::new(ErrorCode::NotFound, "there is no such address").into_response();
    }
    let wanted = if path.is_empty() { INDEX } else { path };
    if let Some(file) = Dist::get(wanted) {
        return answer(wanted, file, &headers);
    }
    // A path without a dot is a place in the page, which sorts it out itself.
    let place = !wanted.rsplit('/').next().unwrap_or_default().contains('.');
    match Dist::get(INDEX) {
        Some(index) if place => answer(INDEX, index, &headers),
        None if place || wanted == INDEX => {
            (StatusCode::OK, [cache(ASK_AGAIN)], Html(NOT_BUILT)).into_response()
        }
        _ => Error::new(ErrorCode::NotFound, "there is no such file").into_response(),
    }
}

fn answer(path: &str, file: EmbeddedFile, headers: &HeaderMap) -> Response {
    let caching = cache(if path.starts_with(HASHED) {
        FOR_EVER
    } else {
        ASK_AGAIN
    });
    let tag = etag(&file.metadata.sha256_hash());
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| {
        // A proxy that compressed the file marks the tag as weak.
        known
            .as_bytes()
            .strip_prefix(b"W/")
            .unwrap_or(known.as_bytes())
            == tag.as_bytes()
    });
    if known {
        return (StatusCode::NOT_MODIFIED, [caching, (header::ETAG, tag)]).into_response();
    }
    let kind = HeaderValue::from_str(file.metadata.mimetype())
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let headers = [caching, (header::ETAG, tag), (header::CONTENT_TYPE, kind)];
    (headers, file.data).into_response()
}

fn cache(how: &'static str) -> (HeaderName, HeaderValue) {
    (header::CACHE_CONTROL, HeaderValue::from_static(how))
}

fn etag(hash: &[u8; 32]) -> HeaderValue {
    let hex: String = hash
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    HeaderValue::from_str(&format!("\"{hex}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

//! What all parts of the gateway share.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use axum::extract::ws::Utf8Bytes;
use axum::http::HeaderMap;
use ops::shutdown::Token as Stop;
use tokio_util::task::TaskTracker;

use crate::attempts::Attempts;
use crate::auth::{Credentials, Sessions};
use crate::channels::Channels;
use crate::cluster::Cluster;
use crate::config::Options;
use crate::ephemeral::Ephemeral;
use crate::errors::Error;
use crate::frames::{Me, ServerFrame};
use crate::passwords::Passwords;
use crate::port::places::Places;
use crate::port::proxies::Proxies;
use crate::reads::Reads;
use crate::route::Router;
use crate::seen::Seen;
use crate::socket::admission::Admission;
use crate::socket::hub::Hub;
use crate::socket::outbox::serialise;
use crate::tail::Tail;

/// One per gateway.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) options: Options,
    pub(crate) cluster: Cluster,
    pub(crate) channels: Arc<Channels>,
    pub(crate) router: Router,
    pub(crate) reads: Reads,
    pub(crate) hub: Arc<Hub>,
    pub(crate) ephemeral: Arc<Ephemeral>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) passwords: Passwords,
    pub(crate) attempts: Attempts,
    pub(crate) places: Arc<Places>,
    pub(crate) proxies: Proxies,
    /// Cancelled when the gateway begins to stop.
    pub(crate) stopping: Stop,
    /// The sessions that still run.
    pub(crate) sockets: TaskTracker,
}

/// Whose request it is.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) person: Me,
    pub(crate) token_hash: [u8; 32],
}

impl App {
    /// Starts everything that runs by itself.
    pub(crate) fn start(options: Options, tls: tls::Mutual) -> Arc<Self> {
        let channels = Arc::new(Channels::new(tls));
        let connections = Arc::new(AtomicU32::new(0));
        let seen = Arc::new(Seen::default());
        let sessions = Arc::new(Sessions::default());
        let cluster = Cluster::start(&options, Arc::clone(&channels), Arc::clone(&connections));
        let hub = Arc::new(Hub::new(Arc::clone(&seen), Arc::clone(&sessions)));
        let name = options.name.clone();
        let tail = Tail::new(
            cluster.clone(),
            Arc::clone(&channels),
            Arc::clone(&hub),
            name,
        );
        tokio::spawn(tail.run());
        let ephemeral = Ephemeral::start(cluster.clone(), Arc::clone(&channels), Arc::clone(&hub));
        Arc::new(Self {
            ephemeral,
            router: Router::start(cluster.clone(), Arc::clone(&channels), Arc::clone(&seen)),
            reads: Reads::new(cluster.clone(), Arc::clone(&channels), seen),
            admission: Arc::new(Admission::new(&options, connections)),
            passwords: Passwords::new(&options),
            attempts: Attempts::new(&options),
            places: Arc::new(Places::new(&options)),
            proxies: Proxies::new(&options.trusted_proxies),
            options,
            cluster,
            channels,
            hub,
            sessions,
            stopping: Stop::new(),
            sockets: TaskTracker::new(),
        })
    }

    /// Whose session the request carries.
    pub(crate) async fn identify(&self, headers: &HeaderMap) -> Result<Identity, Error> {
        let credentials = Credentials::of(headers);
        let token = credentials.token().ok_or_else(Error::unauthenticated)?;
        let token_hash = token.hash();
        if let Some(person) = self.sessions.get(&token_hash) {
            return Ok(Identity { person, token_hash });
        }
        let found = self.reads.session(token_hash).await?;
        let person = found.ok_or_else(Error::unauthenticated)?;
        self.sessions.remember(token_hash, person.clone());
        Ok(Identity { person, token_hash })
    }

    /// The cluster as a frame.
    pub(crate) fn cluster_frame(&self) -> Option<Utf8Bytes> {
        serialise(&ServerFrame::Cluster(
            self.cluster.view().frame(&self.options),
        ))
    }

    /// Why this gateway is of no use at the moment, in words.
    pub(crate) fn not_ready(&self) -> Option<String> {
        if self.stopping.is_cancelled() {
            return Some("the gateway stops".to_owned());
        }
        let view = self.cluster.view();
        if !view.nodes.iter().any(|node| node.serves()) {
            return Some(match (view.cluster_id.is_empty(), view.membership) {
                (true, false) => {
                    format!(
                        "waits for the membership service at {}",
                        self.options.membership
                    )
                }
                (true, true) => format!("the cluster is not formed: {}", view.waiting_for),
                (false, _) => "no replica answers".to_owned(),
            });
        }
        self.hub
            .position()
            .is_none()
            .then(|| "no replica's log can be followed yet".to_owned())
    }
}

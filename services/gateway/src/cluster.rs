//! Who is there: the replicas as this gateway sees them, and who leads.
//!
//! In: the servers that membership knows (kept when it is away), the status of each replica by
//! polling. Out: a [`View`], watched by router, reads, tail and clients.
//! Must hold: `quorum` is true only while a replica that answers says that it leads with a
//! majority. A missing answer takes a leader away, never makes one.

mod collect;
mod membership;
mod poll;
mod view;

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

pub(crate) use view::{Node, View};

use crate::channels::Channels;
use crate::config::Options;
use crate::limits::REPORTS_MAX;

/// The only shard so far; its id is in every call so that more need no new protocol.
pub(crate) const SHARD: u32 = 0;

/// A cheap handle on the view.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    view: watch::Receiver<Arc<View>>,
    hurry: Arc<poll::Hurry>,
}

impl Cluster {
    /// Starts to look; ends with the runtime or when every handle is gone.
    pub(crate) fn start(
        options: &Options,
        channels: Arc<Channels>,
        connections: Arc<std::sync::atomic::AtomicU32>,
    ) -> Self {
        let tls = channels.tls().clone();
        let (view_sender, view) = watch::channel(Arc::new(View::empty()));
        let (reports, inbox) = mpsc::channel(REPORTS_MAX);
        let hurry = Arc::new(poll::Hurry::default());
        let collector = collect::Collector::new(
            Arc::clone(&channels),
            Arc::clone(&hurry),
            reports.clone(),
            view_sender,
            &options.replicas,
        );
        tokio::spawn(collector.run(inbox));
        tokio::spawn(membership::follow(
            options.clone(),
            tls,
            reports,
            connections,
        ));
        Self { view, hurry }
    }

    /// The view of now.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.borrow())
    }

    /// To wait for changes.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<View>> {
        self.view.clone()
    }

    /// Somebody has reason to think that the view is out of date: look at once, and often for
    /// a while.
    pub(crate) fn suspect(&self) {
        self.hurry.up();
    }
}

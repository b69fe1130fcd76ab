//! What a worker's switch is built from: links, dialects, the way between each two of them.
//!
//! Immutable after start. The core keeps it apart from what changes, so that a message can be
//! looked at through its link's dialect while another link's state is being changed.

use std::sync::Arc;
use std::time::Duration;

use crate::base::ids::{LinkId, WorkerId};
use crate::base::limits::{self, Bounds};
use crate::iso8583::dialect::Dialect;
use crate::iso8583::transcode::Transcoder;
use crate::risk::Rules;
use crate::routing::RouteTable;

use super::bug::Bug;
use super::health::Breaker;
use super::index::TransactionIndex;
use super::inquiry::Inquiry;
use super::pending::Share;
use super::recent::Recent;

/// Everything a [`super::Switch`] needs to know before its first event.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Which worker this is.
    pub worker: WorkerId,
    /// How many workers share the STANs of each partner link.
    pub workers: u8,
    /// The configured links; a [`LinkId`] is a place here.
    pub links: Vec<LinkSetup>,
    /// The first route table.
    pub routes: Arc<RouteTable>,
    /// The first rules on what is wanted, if there are any.
    pub rules: Option<Arc<Rules>>,
    /// What may not be exceeded.
    pub bounds: Bounds,
    /// True if each decision is also put into [`super::Outbox::decisions`].
    pub tap: bool,
    /// Secret of this installation: keys the hashes by which requests are known again.
    pub key: u64,
    /// Which life of this installation this is: numbers of transactions are never used twice.
    pub epoch: u32,
    /// True if what no worker remembers can be looked up: somebody answers
    /// [`super::Outbox::questions`].
    pub has_archive: bool,
    /// The mistake that is planted, if one is.
    #[cfg(feature = "planted-bugs")]
    pub bug: Option<super::bug::Bug>,
    /// Bytes in which a worker remembers what was asked lately, if it has an index of its own.
    pub recent_bytes: usize,
    /// The index it shares with the other workers; `None` makes one of its own.
    pub index: Option<Arc<TransactionIndex>>,
}

/// A configured peer.
#[derive(Debug, Clone)]
pub struct LinkSetup {
    /// Its name in the configuration.
    pub name: String,
    /// Who asks whom.
    pub role: Role,
    /// How it writes.
    pub dialect: Arc<Dialect>,
    /// Partner: we sign on (0800, DE 70 = 001) before anything else. Acquirer: it must.
    pub sign_on: bool,
    /// Partner: an echo (0800, DE 70 = 301) is sent after this long without a byte.
    pub echo_interval: Option<Duration>,
    /// Partner: most requests in flight per worker.
    pub in_flight_max: usize,
    /// Partner: when it is left alone; `None` never.
    pub breaker: Option<Breaker>,
    /// Partner: how it is asked what became of a request, on routes whose partners can say.
    pub inquiry: Inquiry,
}

/// Who asks whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Asks us.
    Acquirer,
    /// Is asked by us.
    Partner,
}

impl Setup {
    /// A worker of its own, without links, that keeps no memory from one life to the next.
    pub fn new(routes: Arc<RouteTable>) -> Self {
        Self {
            worker: WorkerId(0),
            workers: 1,
            links: Vec::new(),
            routes,
            rules: None,
            bounds: Bounds::default(),
            tap: false,
            key: 0,
            epoch: 0,
            has_archive: false,
            #[cfg(feature = "planted-bugs")]
            bug: None,
            recent_bytes: limits::RECENT_BYTES,
            index: None,
        }
    }

    /// Its part of the STANs of each partner link.
    pub(super) fn share(&self) -> Share {
        match self.has(Bug::StansNotDivided) {
            false => Share::of(self.worker, self.workers),
            true => Share::of(WorkerId(0), 1),
        }
    }

    /// An index for this worker alone.
    pub(super) fn own_index(&self) -> Arc<TransactionIndex> {
        Arc::new(TransactionIndex::new(1, Recent::transactions_in(self.recent_bytes)))
    }

    /// True if this mistake is planted.
    #[cfg(feature = "planted-bugs")]
    pub(super) fn has(&self, bug: super::bug::Bug) -> bool {
        self.bug == Some(bug)
    }

    /// True if this mistake is planted: none is.
    #[cfg(not(feature = "planted-bugs"))]
    #[inline(always)]
    pub(super) const fn has(&self, _: super::bug::Bug) -> bool {
        false
    }

    /// The link, if there is one of that number.
    pub fn link(&self, id: LinkId) -> Option<&LinkSetup> {
        self.links.get(usize::from(id.0))
    }
}

/// The way between an acquirer's dialect and a partner's, there and back.
#[derive(Debug)]
pub(super) struct Path {
    /// Both write the same: bytes are copied and patched.
    pub(super) alike: bool,
    /// Acquirer to partner, value by value.
    pub(super) there: Transcoder,
    /// Partner to acquirer, value by value.
    pub(super) back: Transcoder,
}

/// Compiles the way between each acquirer and each partner; indexed by `acquirer * links +
/// partner`, `None` for pairs that never meet.
pub(super) fn paths(links: &[LinkSetup]) -> Vec<Option<Path>> {
    let mut paths = Vec::with_capacity(links.len() * links.len());
    for acquirer in links {
        for partner in links {
            let meet = acquirer.role == Role::Acquirer && partner.role == Role::Partner;
            paths.push(meet.then(|| {
                let (from, to) = (&acquirer.dialect, &partner.dialect);
                Path {
                    alike: from.is_like(to) && from.spec.edition == to.spec.edition,
                    there: Transcoder::compile(from, to),
                    back: Transcoder::compile(to, from),
                }
            }));
        }
    }
    paths
}

/// The way between `acquirer` and `partner` among the [`paths`] of `links` links.
#[inline]
pub(super) fn path(
    paths: &[Option<Path>],
    links: usize,
    acquirer: LinkId,
    partner: LinkId,
) -> Option<&Path> {
    paths.get(usize::from(acquirer.0) * links + usize::from(partner.0))?.as_ref()
}

impl Default for LinkSetup {
    fn default() -> Self {
        Self {
            name: String::new(),
            role: Role::Acquirer,
            dialect: Arc::new(Dialect::compile(crate::iso8583::spec::Spec::default())),
            sign_on: false,
            echo_interval: None,
            in_flight_max: limits::IN_FLIGHT_MAX / 4,
            breaker: None,
            inquiry: Inquiry::default(),
        }
    }
}

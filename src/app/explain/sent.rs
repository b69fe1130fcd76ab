//! What a switch of a configuration makes of one request: fed to it as the shell would.

use super::Request;
use crate::app::wiring;
use crate::base::ids::{LinkId, SessionId};
use crate::base::limits;
use crate::base::time::{Instant, Now};
use crate::iso8583::frame;
use crate::switch::decision::Decision;
use crate::switch::{Event, Outbox, Setup, Switch};
use std::sync::Arc;

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// What became of it, where that was noted.
    pub(super) decision: Option<Decision>,
    /// Frames for partners.
    pub(super) sent: Vec<(LinkId, Vec<u8>)>,
    /// Frames for the acquirer.
    pub(super) answered: Vec<u8>,
    /// Why it cannot be fed.
    pub(super) unfit: bool,
}

/// Feeds the request to a switch whose partners are all there and want no sign-on.
pub(super) fn fed(request: &Request<'_>) -> Done {
    let (config, acquirer) = (request.config, request.acquirer);
    let mut links = wiring::links(config);
    for link in &mut links {
        (link.sign_on, link.echo_interval) = (false, None);
    }
    let mut switch = Switch::new(Setup {
        links,
        bounds: config.settings.limits.clone(),
        tap: true,
        recent_bytes: limits::RECENT_BYTES_UNKEPT,
        ..Setup::new(Arc::clone(&config.routes))
    });
    let framing = &acquirer.dialect.spec.framing;
    let mut framed = Vec::new();
    let start = frame::begin(framing, &mut framed);
    framed.extend_from_slice(request.bytes);
    if frame::finish(framing, &mut framed, start).is_err() {
        return Done { unfit: true, ..Done::default() };
    }
    let now = Now { instant: Instant::from_ns(1), wall: request.wall };
    let mut outbox = Outbox::default();
    let session = |slot: usize| SessionId { slot: slot as u32, generation: 1 };
    let (pos, shared) = (session(0), false);
    switch.handle(now, Event::Opened { session: pos, link: acquirer.link, shared }, &mut outbox);
    let partners: Vec<(LinkId, SessionId)> =
        config.partners.iter().zip(1..).map(|(each, slot)| (each.link, session(slot))).collect();
    for (link, session) in &partners {
        let opened = Event::Opened { session: *session, link: *link, shared };
        switch.handle(now, opened, &mut outbox);
    }
    switch.handle(now, Event::Received { session: pos, bytes: &framed }, &mut outbox);
    let sent = partners.iter().map(|(link, session)| (*link, outbox.unwritten(*session).to_vec()));
    Done {
        sent: sent.filter(|(_, bytes)| !bytes.is_empty()).collect(),
        answered: outbox.unwritten(pos).to_vec(),
        decision: outbox.decisions.first().copied(),
        unfit: false,
    }
}

//! The floor: the least that a program in the middle can do.
//!
//! It finds the frames, walks the fields, replaces the STAN by its own, forwards over a few
//! shared partner connections, and puts the answer back where it belongs. It validates nothing,
//! keeps no deadline, and knows no routes: what a switch costs above this is the price of being
//! a switch. It is made as fast as batching on one thread allows, because a slow yardstick
//! flatters what is measured with it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Poll, ready};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use crate::failure::Failure;
use crate::frame::{Form, bcd_of_number, number_of_bcd, walk};
use crate::net::{SCRATCH_BYTES, Sinks, Source, runtime};

/// Between whom to forward.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floor {
    pub(crate) acquirer: SocketAddr,
    pub(crate) partner: SocketAddr,
    /// Connections to the partner, shared by all acquirer connections.
    pub(crate) partner_sessions: usize,
    pub(crate) form: Form,
}

/// Forwards until the process is ended.
pub(crate) fn run(floor: Floor) -> Result<(), Failure> {
    let runtime = runtime().map_err(|error| Failure::of("start an event loop", error))?;
    runtime.block_on(forward(floor))
}

async fn forward(floor: Floor) -> Result<(), Failure> {
    let hub = Rc::new(RefCell::new(Hub::new(floor.form)));
    let flusher = hub.clone();
    spawn_local(poll_fn(move |cx| {
        let hub = &mut *flusher.borrow_mut();
        hub.exchange.turn = hub.exchange.turn.wrapping_add(1);
        hub.exchange.sinks.poll_flush(cx)
    }));
    let attempt = format!("connect to the partner at {}", floor.partner);
    for _ in 0..floor.partner_sessions.max(1) {
        let (number, source) = match TcpStream::connect(floor.partner).await {
            Ok(stream) => hub.borrow_mut().exchange.sinks.add(stream),
            Err(error) => Err(error),
        }
        .map_err(|error| Failure::of(&attempt, error))?;
        hub.borrow_mut().exchange.partners.push(number);
        spawn_local(carry(hub.clone(), number, source, Exchange::answer));
    }
    let attempt = format!("listen on {}", floor.acquirer);
    let listener =
        TcpListener::bind(floor.acquirer).await.map_err(|error| Failure::of(&attempt, error))?;
    let address = listener.local_addr().map_err(|error| Failure::of(&attempt, error))?;
    println!("floor listening on {address}");
    loop {
        let (stream, _) = listener.accept().await.map_err(|error| Failure::of("accept", error))?;
        let added = hub.borrow_mut().exchange.sinks.add(stream);
        if let Ok((number, source)) = added {
            spawn_local(carry(hub.clone(), number, source, Exchange::request));
        }
    }
}

/// The life of a connection, on either side.
async fn carry(
    hub: Rc<RefCell<Hub>>,
    number: usize,
    mut source: Source,
    pass: impl Fn(&mut Exchange, usize, &mut [u8]),
) {
    poll_fn(|cx| {
        loop {
            let Hub { scratch, exchange } = &mut *hub.borrow_mut();
            let read = source.poll_frames(cx, scratch, |frame| pass(exchange, number, frame));
            if !matches!(ready!(read), Ok(1..)) {
                return Poll::Ready(());
            }
        }
    })
    .await;
    hub.borrow_mut().exchange.sinks.remove(number);
}

struct Hub {
    scratch: Vec<u8>,
    exchange: Exchange,
}

/// Who asked what under which STAN.
struct Exchange {
    form: Form,
    sinks: Sinks,
    partners: Vec<usize>,
    /// Counts batches: all requests of one batch leave on one partner connection, in turn.
    turn: usize,
    slots: Vec<Slot>,
    stan: u32,
}

#[derive(Clone, Copy)]
struct Slot {
    connection: u32,
    stan: [u8; 3],
    taken: bool,
}

impl Hub {
    fn new(form: Form) -> Hub {
        let free = Slot { connection: 0, stan: [0; 3], taken: false };
        let exchange = Exchange {
            form,
            sinks: Sinks::default(),
            partners: Vec::new(),
            turn: 0,
            slots: vec![free; SLOTS],
            stan: 0,
        };
        Hub { scratch: vec![0; SCRATCH_BYTES], exchange }
    }
}

impl Exchange {
    #[inline]
    fn request(&mut self, connection: usize, frame: &mut [u8]) {
        let Some(at) = stan_at(frame, self.form, true) else { return };
        let Some(stan) = frame.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) else {
            return;
        };
        self.stan = (self.stan + 1) % SLOTS as u32;
        self.slots[self.stan as usize] =
            Slot { connection: connection as u32, stan: *stan, taken: true };
        *stan = bcd_of_number(self.stan);
        let partner = self.partners[self.turn % self.partners.len()];
        if let Some(out) = self.sinks.buffer(partner) {
            out.extend_from_slice(frame);
        }
    }

    #[inline]
    fn answer(&mut self, _partner: usize, frame: &mut [u8]) {
        let Some(at) = stan_at(frame, self.form, false) else { return };
        let Some(stan) = frame.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) else {
            return;
        };
        let Some(slot) = self.slots.get_mut(number_of_bcd(*stan) as usize) else { return };
        if !slot.taken {
            return;
        }
        slot.taken = false;
        *stan = slot.stan;
        if let Some(out) = self.sinks.buffer(slot.connection as usize) {
            out.extend_from_slice(frame);
        }
    }
}

/// Where DE 11 lies. A request is walked to its end, as any program must that is to know whether
/// the message is whole; an answer only as far as needed.
#[inline]
fn stan_at(frame: &[u8], form: Form, to_the_end: bool) -> Option<usize> {
    let mut at = None;
    walk(frame, form, |field| {
        if field.de == 11 {
            at = Some(field.start);
        }
        to_the_end || field.de < 11
    })?;
    at
}

/// Requests in flight at most; older ones are forgotten. STANs up to 999,999 would allow more,
/// but a ring that stays in the cache is faster, and this one covers 1 s at 65,000/s.
const SLOTS: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Fleet, Requests};

    #[test]
    fn the_stan_is_found_in_both_directions() {
        let mut frame = Vec::new();
        Requests::new(Form::Tpdu).append(&mut frame, 4_711, Fleet::of(1));
        for to_the_end in [true, false] {
            let at = stan_at(&frame, Form::Tpdu, to_the_end).unwrap();
            assert_eq!(frame[at..at + 3], [0x00, 0x47, 0x11]);
        }
        assert_eq!(stan_at(&frame[..200], Form::Tpdu, true), None);
    }
}

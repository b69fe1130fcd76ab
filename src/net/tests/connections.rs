//! Connections of acquirers.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;

use super::cores::Echo;
use super::{PATIENCE, Rig, frame, plan, receive, send};
use crate::base::limits::{self, Bounds};
use crate::net::{Clock, Notice};
use crate::routing::RouteTable;
use crate::switch::outbox::CloseCause;

#[test]
fn frames_may_be_merged_and_split() {
    let rig = Rig::start(&plan(1), |_| Echo::default());
    let mut peer = rig.call();
    let merged = [frame(b"one"), frame(b"two"), frame(b"three")].concat();
    peer.write_all(&merged).expect("open");
    for body in [&b"one"[..], b"two", b"three"] {
        assert_eq!(receive(&mut peer).as_deref(), Some(body));
    }
    for byte in frame(&[7; 300]) {
        peer.write_all(&[byte]).expect("open");
    }
    assert_eq!(receive(&mut peer), Some(vec![7; 300]));
    assert_eq!(rig.leave()[0].frames, 4);
}

#[test]
fn more_than_any_buffer_passes_in_order() {
    let rig = Rig::start(&plan(1), |_| Echo::default());
    let mut peer = rig.call();
    let mut writer = peer.try_clone().expect("open");
    let bodies = |at: u32| [&at.to_be_bytes()[..], &[at as u8; 1000]].concat();
    let count = 20_000;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let all: Vec<u8> = (0..count).flat_map(|at| frame(&bodies(at))).collect();
            writer.write_all(&all).expect("read in the end");
        });
        for at in 0..count {
            assert_eq!(receive(&mut peer), Some(bodies(at)));
        }
    });
    rig.leave();
}

#[test]
fn who_does_not_read_is_not_read_from_and_then_closed() {
    let rig = Rig::start(&plan(1), |_| Echo::default());
    let mut other = rig.call();
    let mut peer = rig.call();
    peer.set_write_timeout(Some(Duration::from_millis(500))).expect("not zero");
    let frames = frame(&[1; 4000]).repeat(100);
    let mut sent = 0;
    while let Ok(count) = peer.write(&frames) {
        sent += count;
        assert!(sent < 100 << 20, "it is read without end");
    }
    send(&mut other, b"still there");
    assert_eq!(receive(&mut other).as_deref(), Some(&b"still there"[..]));

    let clock = Clock::start();
    rig.wait(|notice| matches!(notice, Notice::Closed { cause: CloseCause::WriteStall, .. }));
    let waited = clock.now().instant.since(Default::default());
    assert!(waited < limits::WRITE_DEADLINE + Duration::from_secs(1), "{waited:?}");
    let counts = rig.leave().remove(0);
    assert!(counts.bytes < 16 << 20, "{} bytes were taken", counts.bytes);
}

#[test]
fn a_slow_reader_is_read_from_again() {
    let rig = Rig::start(&plan(1), |_| Echo::default());
    let mut peer = rig.call();
    peer.set_write_timeout(Some(Duration::from_millis(300))).expect("not zero");
    let frames = frame(&[1; 4000]);
    let mut sent = 0;
    // Stops when the peer is not read from any more, most likely inside a frame.
    let rest = loop {
        match peer.write(&frames) {
            Ok(count) if count == frames.len() => sent += 1,
            Ok(count) => break &frames[count..],
            Err(_) => break &[],
        }
    };
    let mut writer = peer.try_clone().expect("open");
    writer.set_write_timeout(Some(PATIENCE)).expect("not zero");
    std::thread::scope(|scope| {
        scope.spawn(move || writer.write_all(rest).expect("it is read from again"));
        for _ in 0..sent + usize::from(!rest.is_empty()) {
            assert_eq!(receive(&mut peer).map(|body| body.len()), Some(4000));
        }
    });
    rig.leave();
}

#[test]
fn who_has_ended_its_side_is_still_answered() {
    let rig = Rig::start(&plan(1), |_| Echo::default());
    let mut peer = rig.call();
    let asked = [frame(b"one"), frame(b"two"), b"\x00\x09cut".to_vec()].concat();
    peer.write_all(&asked).expect("open");
    peer.shutdown(Shutdown::Write).expect("open");
    assert_eq!(receive(&mut peer).as_deref(), Some(&b"one"[..]));
    assert_eq!(receive(&mut peer).as_deref(), Some(&b"two"[..]));
    assert_eq!(receive(&mut peer), None);
    rig.wait(|notice| matches!(notice, Notice::Closed { cause: CloseCause::Finished, .. }));
    let counts = rig.leave().remove(0);
    assert_eq!((counts.frames, counts.ended, counts.closed), (2, 1, 1));
}

#[test]
fn a_reset_closes_the_session_once() {
    let rig = Rig::start(&plan(1), |_| Echo::default());
    let mut peer = rig.call();
    send(&mut peer, b"hello");
    assert!(receive(&mut peer).is_some());
    SockRef::from(&peer).set_linger(Some(Duration::ZERO)).expect("TCP");
    drop(peer);
    rig.wait(|notice| matches!(notice, Notice::Lost { .. }));
    let counts = rig.leave().remove(0);
    assert_eq!((counts.opened, counts.ended, counts.closed), (1, 0, 1));
}

#[test]
fn connections_are_dealt_out_evenly() {
    let rig = Rig::start(&plan(2), |_| Echo::default());
    let mut peers: Vec<_> = std::iter::repeat_with(|| rig.call()).take(8).collect();
    for peer in &mut peers {
        send(peer, b"hello");
        assert!(receive(peer).is_some());
    }
    let counts = rig.leave();
    assert_eq!((counts[0].opened, counts[1].opened), (4, 4));
    assert_eq!((counts[0].frames, counts[1].frames), (4, 4));
}

#[test]
fn too_many_connections_are_refused_until_one_ends() {
    let bounds = Bounds { sessions: 2, ..Bounds::default() };
    let rig = Rig::start(&super::Plan { bounds, ..plan(1) }, |_| Echo::default());
    let first = rig.call();
    let _second = rig.call();
    let mut third = rig.call();
    rig.wait(|notice| matches!(notice, Notice::Refused { .. }));
    // The end, or a reset if the request was there before.
    assert!(!matches!(third.read(&mut [0]), Ok(1..)));
    drop(first);
    rig.wait(|notice| matches!(notice, Notice::Closed { .. }));
    let mut fourth = rig.call();
    send(&mut fourth, b"hello");
    assert!(receive(&mut fourth).is_some());
    rig.leave();
}

#[test]
fn deadlines_are_met_and_never_early() {
    let rig = Rig::start(&plan(1), |_| Echo::default());
    let mut peer = rig.call();
    for _ in 0..10 {
        send(&mut peer, b"alarm");
        assert_eq!(receive(&mut peer).as_deref(), Some(&b"alarm"[..]));
    }
    let mut lateness = rig.leave().remove(0).lateness;
    lateness.sort();
    assert!(lateness[0] < Duration::from_millis(10), "{lateness:?}");
}

#[test]
fn routes_reach_workers_that_have_nothing_to_do() {
    let rig = Rig::start(&plan(3), |_| Echo::default());
    let routes = RouteTable::single(vec![super::PARTNER], Duration::from_secs(1));
    rig.shell.publisher().publish(&Arc::new(routes), None);
    let counts = rig.leave();
    assert!(counts.iter().all(|counts| counts.routes == 1), "{counts:?}");
}

#[test]
fn a_worker_that_stays_awake_works_the_same() {
    let spin = Duration::from_millis(5);
    let rig = Rig::start(&super::Plan { spin, ..plan(1) }, |_| Echo::default());
    let mut peer = rig.call();
    for wait in [0, 20, 0] {
        super::pause(Duration::from_millis(wait));
        send(&mut peer, b"alarm");
        assert!(receive(&mut peer).is_some());
    }
    rig.leave();
}

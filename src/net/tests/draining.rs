//! Leaving without a loss.

use std::net::TcpStream;
use std::time::Duration;

use super::cores::{Echo, Forward};
use super::{Plan, Rig, plan, plan_with_partner, receive, send};
use crate::base::ids::WorkerId;
use crate::net::Notice;

#[test]
fn what_is_under_way_is_answered() {
    let (plan, partner) = plan_with_partner(2, 1);
    let rig = Rig::start(&plan, Forward::new);
    let (mut host, _) = partner.accept().expect("it dials");
    rig.wait_for_partners(1);
    let mut peers = [rig.call(), rig.call()];
    // The second worker has to be lent the session first.
    ask_until_forwarded(&mut peers, &mut host);
    rig.shell.drain();
    super::pause(Duration::from_millis(100));
    for _ in 0..2 {
        let body = receive(&mut host).expect("forwarded");
        send(&mut host, &body);
    }
    for peer in &mut peers {
        assert_eq!(receive(peer).as_deref(), Some(&b"last"[..]));
        assert_eq!(receive(peer), None);
    }
    for _ in 0..2 {
        let notice = rig.wait(|notice| matches!(notice, Notice::Drained { .. }));
        assert!(matches!(notice, Notice::Drained { complete: true, .. }));
    }
    assert_eq!(receive(&mut host), None);
    drop((host, peers));
    rig.leave();
}

/// Leaves one request `last` of each peer at the host, unanswered.
fn ask_until_forwarded(peers: &mut [TcpStream], host: &mut TcpStream) {
    for peer in &mut *peers {
        loop {
            send(peer, b"first");
            // Either 91 comes back, or the host gets it.
            host.set_read_timeout(Some(Duration::from_millis(50))).expect("not zero");
            if host.peek(&mut [0]).is_ok() {
                let body = receive(host).expect("forwarded");
                send(host, &body);
                assert_eq!(receive(peer).as_deref(), Some(&b"first"[..]));
                break;
            }
            assert_eq!(receive(peer).as_deref(), Some(&b"91"[..]));
        }
    }
    host.set_read_timeout(Some(super::PATIENCE)).expect("not zero");
    for peer in peers {
        send(peer, b"last");
    }
}

#[test]
fn what_has_arrived_counts_as_accepted() {
    for _ in 0..20 {
        let rig = Rig::start(&plan(2), |_| Echo::default());
        let mut peer = rig.call();
        send(&mut peer, b"hello");
        assert!(receive(&mut peer).is_some());
        send(&mut peer, b"just in time");
        rig.shell.drain();
        assert_eq!(receive(&mut peer).as_deref(), Some(&b"just in time"[..]));
        assert_eq!(receive(&mut peer), None);
        drop(peer);
        rig.leave();
    }
}

#[test]
fn a_partner_that_stays_silent_is_waited_for_until_the_deadline() {
    let (plan, partner) = plan_with_partner(1, 1);
    let plan = Plan { drain_deadline: Duration::from_millis(300), ..plan };
    let rig = Rig::start(&plan, Forward::new);
    let (mut host, _) = partner.accept().expect("it dials");
    rig.wait_for_partners(1);
    let mut peer = rig.call();
    send(&mut peer, b"hello");
    assert!(receive(&mut host).is_some());
    rig.shell.drain();
    let notice = rig.wait(|notice| matches!(notice, Notice::Drained { .. }));
    assert_eq!(notice, Notice::Drained { worker: WorkerId(0), complete: false });
    assert_eq!(receive(&mut peer), None);
    rig.leave();
}

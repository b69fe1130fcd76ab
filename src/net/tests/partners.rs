//! Partners: dialled, lost, dialled again, lent to other workers.

use std::net::TcpListener;
use std::time::Duration;

use super::cores::Forward;
use super::{PARTNER, Rig, echo, plan_with_partner, receive, send};
use crate::net::{Clock, Notice};

/// Accepts and echoes for ever.
fn serve(listener: TcpListener) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || echo(stream));
        }
    });
}

#[test]
fn one_partner_session_serves_every_worker() {
    let (plan, partner) = plan_with_partner(2, 1);
    serve(partner);
    let rig = Rig::start(&plan, Forward::new);
    rig.wait_for_partners(1);
    let mut peers: Vec<_> = std::iter::repeat_with(|| rig.call()).take(4).collect();
    await_service(&mut peers);
    for round in 0..50_u8 {
        for (peer, number) in peers.iter_mut().zip(0_u8..) {
            send(peer, &[number, round, 1]);
            send(peer, &[number, round, 2]);
        }
        for (peer, number) in peers.iter_mut().zip(0_u8..) {
            assert_eq!(receive(peer), Some(vec![number, round, 1]));
            assert_eq!(receive(peer), Some(vec![number, round, 2]));
        }
    }
    let counts = rig.leave();
    assert_eq!((counts[0].opened, counts[1].opened), (2, 2));
    assert_eq!((counts[0].opened_shared, counts[1].opened_shared), (0, 1));
    assert!(counts[0].relayed >= 200 && counts[1].relayed == 0, "{counts:?}");
}

#[test]
fn an_answer_may_come_on_a_connection_of_another_worker() {
    let (plan, partner) = plan_with_partner(2, 2);
    let rig = Rig::start(&plan, Forward::new);
    let (first, second) =
        (partner.accept().expect("it dials").0, partner.accept().expect("it dials").0);
    // Each worker has its own, and the host always answers on the other one.
    for (mut from, to) in [(&first, &second), (&second, &first)]
        .map(|(from, to)| (from.try_clone().expect("open"), to.try_clone().expect("open")))
    {
        std::thread::spawn(move || {
            let mut to = to;
            while let Some(body) = receive(&mut from) {
                send(&mut to, &body);
            }
        });
    }
    rig.wait_for_partners(2);
    let mut peers = vec![rig.call(), rig.call()];
    await_service(&mut peers);
    let counts = rig.leave();
    assert!(counts[0].relayed > 0 && counts[1].relayed > 0, "{counts:?}");
}

#[test]
fn what_waits_for_a_lent_session_is_sent_when_there_is_room() {
    let (plan, partner) = plan_with_partner(2, 1);
    let rig = Rig::start(&plan, Forward::new);
    let (host, _) = partner.accept().expect("it dials");
    rig.wait_for_partners(1);
    // The lend is mailed when the connection is reported; this is ages later.
    super::pause(Duration::from_millis(200));
    let bodies = |number: u8, at: u32| [&[number; 4000][..], &at.to_be_bytes()].concat();
    let peers: Vec<_> = std::iter::repeat_with(|| rig.call()).take(2).collect();
    std::thread::scope(|scope| {
        for (mut peer, number) in peers.into_iter().zip(0_u8..) {
            let mut writer = peer.try_clone().expect("open");
            scope.spawn(move || (0..2000).for_each(|at| send(&mut writer, &bodies(number, at))));
            scope.spawn(move || {
                (0..2000).for_each(|at| assert_eq!(receive(&mut peer), Some(bodies(number, at))));
            });
        }
        // Long enough for every buffer on the way to fill.
        super::pause(Duration::from_millis(500));
        std::thread::spawn(move || echo(host));
    });
    let counts = rig.leave();
    assert_eq!((counts[0].frames, counts[1].frames), (2000, 2000));
}

#[test]
fn a_lent_session_that_is_lost_comes_back() {
    let (plan, partner) = plan_with_partner(2, 1);
    let rig = Rig::start(&plan, Forward::new);
    let (first, _) = partner.accept().expect("it dials");
    rig.wait_for_partners(1);
    drop(first);
    serve(partner);
    rig.wait(|notice| matches!(notice, Notice::Closed { link: PARTNER, .. }));
    rig.wait_for_partners(1);
    let mut peers = vec![rig.call(), rig.call()];
    await_service(&mut peers);
    let counts = rig.leave();
    assert_eq!(counts[1].opened_shared, 2);
}

#[test]
fn a_worker_that_loses_its_own_session_uses_another_ones() {
    let (plan, partner) = plan_with_partner(2, 2);
    let rig = Rig::start(&plan, Forward::new);
    let (first, _) = partner.accept().expect("it dials");
    let (second, _) = partner.accept().expect("it dials");
    rig.wait_for_partners(2);
    // From here on no new connection is answered, and of the two one is lost.
    std::thread::spawn(move || echo(first));
    drop(second);
    rig.wait(|notice| matches!(notice, Notice::Closed { link: PARTNER, .. }));
    let mut peers = vec![rig.call(), rig.call()];
    await_service(&mut peers);
    drop(partner);
    rig.leave();
}

#[test]
fn a_partner_that_hangs_up_at_once_is_not_called_without_pause() {
    let (plan, partner) = plan_with_partner(1, 1);
    let rig = Rig::start(&plan, Forward::new);
    let clock = Clock::start();
    let mut calls = 0;
    partner.set_nonblocking(true).expect("a listener");
    while clock.now().instant.since(Default::default()) < Duration::from_secs(2) {
        calls += usize::from(partner.accept().is_ok());
        super::pause(Duration::from_millis(5));
    }
    // At half of 50, 100, 200, 400, 800 and 1600 ms at the earliest.
    assert!((3..=7).contains(&calls), "{calls} calls");
    rig.leave();
}

#[test]
fn a_partner_that_is_not_there_is_found_when_it_comes() {
    let (plan, partner) = plan_with_partner(1, 1);
    let address = partner.local_addr().expect("bound");
    drop(partner);
    let rig = Rig::start(&plan, Forward::new);
    rig.wait(|notice| matches!(notice, Notice::Unreachable { link: PARTNER, .. }));
    serve(TcpListener::bind(address).expect("free again"));
    rig.wait_for_partners(1);
    let mut peers = vec![rig.call()];
    await_service(&mut peers);
    rig.leave();
}

/// Asks until the partner answers: what is lent reaches a worker a moment after it is connected.
fn await_service(peers: &mut [std::net::TcpStream]) {
    for peer in peers {
        for attempt in 0.. {
            send(peer, b"there?");
            if receive(peer).as_deref() == Some(b"there?") {
                break;
            }
            assert!(attempt < 1000, "the partner is never reached");
            super::pause(Duration::from_millis(5));
        }
    }
}

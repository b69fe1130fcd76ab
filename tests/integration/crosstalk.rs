//! Every answer goes where its request came from, whatever else looks the same.

use std::collections::BTreeSet;
use std::thread;

use crate::message::{Plain, answer_to, probe, sale};
use crate::rig::{Heard, Host, Line, PATIENCE, Serve, ms, now, pause};

const CONNECTIONS: u32 = 8;
const REQUESTS: u32 = 200;

/// The same STANs, dates and reference numbers on every connection; a word of its own in DE 63.
fn request(connection: u32, stan: u32) -> Plain {
    let word = (u64::from(connection) << 32 | u64::from(stan)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    sale(stan).with(41, &format!("TERM{connection:04}")).with(63, &format!("{word:032X}"))
}

/// Answers in another order than asked, and checks that no two open questions look the same.
fn shuffling(mut line: Line) {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let (mut open, mut keys) = (Vec::new(), BTreeSet::new());
    loop {
        let patience = if open.is_empty() { PATIENCE } else { ms(5) };
        let more = match line.hear(patience) {
            Heard::Message(request) => {
                let key = [7, 11, 37].map(|element| request.of(element).map(str::to_owned));
                assert!(keys.insert(key), "two open requests with one key: {request:?}");
                open.push(request);
                open.len() < 100
            }
            Heard::Nothing => false,
            Heard::End => return,
        };
        while !more && !open.is_empty() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let request = open.swap_remove((state >> 33) as usize % open.len());
            let key = [7, 11, 37].map(|element| request.of(element).map(str::to_owned));
            keys.remove(&key);
            line.send(&answer_to(&request, "00"));
        }
    }
}

/// Sends everything at once, then wants each answer exactly once and nothing else.
fn terminal(mut line: Line, connection: u32) {
    let all: Vec<u8> =
        (1..=REQUESTS).flat_map(|stan| line.frame(&request(connection, stan))).collect();
    line.send_bytes(&all);
    let mut seen = BTreeSet::new();
    for _ in 0..REQUESTS {
        let heard = line.receive();
        let stan: u32 = heard.of(11).and_then(|stan| stan.parse().ok()).expect("a STAN");
        let asked = request(connection, stan);
        heard.answers(&asked, "00");
        assert_eq!(heard.of(63), asked.of(63), "the word of another");
        assert!(seen.insert(stan), "STAN {stan} answered twice");
    }
    line.hears_nothing(ms(50));
}

fn run(options: &[&str], sessions: usize) {
    let host = Host::new();
    let serve = Serve::start(host.address, &[options, &["--deadline", "20s"]].concat());
    for _ in 0..sessions {
        let line = host.accept();
        thread::spawn(move || shuffling(line));
    }
    let lines: Vec<Line> = (0..CONNECTIONS).map(|_| ready(&serve)).collect();
    let terminals: Vec<_> = lines
        .into_iter()
        .zip(0..)
        .map(|(line, connection)| thread::spawn(move || terminal(line, connection)))
        .collect();
    for terminal in terminals {
        terminal.join().expect("nothing lost, nothing crossed");
    }
}

/// A connection to a worker that reaches the partner.
fn ready(serve: &Serve) -> Line {
    let mut line = serve.call();
    let deadline = now() + PATIENCE;
    while line.ask(&probe()).code() != "00" {
        assert!(now() < deadline, "no partner for this connection");
        pause(ms(10));
    }
    line
}

#[test]
fn one_worker_one_session() {
    run(&["--workers", "1"], 1);
}

#[test]
fn two_workers_that_share_a_session() {
    run(&["--workers", "2"], 1);
}

#[test]
fn two_workers_with_a_session_each() {
    run(&["--workers", "2", "--partner-sessions", "2"], 2);
}

#[test]
fn two_workers_that_share_three_sessions() {
    run(&["--workers", "2", "--partner-sessions", "3"], 3);
}

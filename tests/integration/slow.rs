//! Peers that do not read: they are stopped being read, then closed, and cost nobody else.

use std::collections::BTreeMap;
use std::io::Write;
use std::thread;
use std::time::Duration;

use authswitch::base::limits::RECENT_BYTES;
use socket2::SockRef;

use crate::message::{Plain, answer_to, probe, sale};
use crate::rig::{Heard, Host, Line, Serve, bounded, configured, is_gone, is_time_out, ms, now};

const LIMITS: &str = "outbox_bytes = 262144\nwrite_deadline = \"1s\"";

fn small_buffers(line: &Line) {
    let socket = SockRef::from(&line.stream);
    socket.set_recv_buffer_size(4096).expect("TCP");
    socket.set_send_buffer_size(65_536).expect("TCP");
}

/// What became of a peer that writes and never reads.
struct Flood {
    bytes: usize,
    /// How long nothing was taken before the end.
    stalled: Duration,
}

/// Writes sales, each another, until the connection is closed.
fn flood(line: &mut Line) -> Flood {
    line.stream.set_write_timeout(Some(ms(50))).expect("not zero");
    let mut stans = 1..;
    let (mut frames, mut bytes, mut taken, start) = (Vec::new(), 0, now(), now());
    while start.elapsed() < ms(10_000) {
        if frames.is_empty() {
            let request = |stan| sale(stan).with(41, "TERM0002");
            frames = stans.by_ref().take(200).flat_map(|s| line.frame(&request(s))).collect();
        }
        match line.stream.write(&frames) {
            Ok(count) => {
                frames.drain(..count);
                bytes += count;
                taken = now();
            }
            Err(error) if is_time_out(&error) => {}
            Err(error) if is_gone(&error) => {
                return Flood { bytes, stalled: taken.elapsed() };
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("still open after {bytes} bytes");
}

fn long_answers(request: &Plain) -> Vec<Plain> {
    vec![answer_to(request, "00").with(63, &"x".repeat(999))]
}

#[test]
fn a_terminal_that_never_reads_is_stopped_then_closed() {
    let host = Host::new();
    // The host of this test is no fast one, and it has all that was asked to answer in its order.
    let settings = format!("[limits]\n{LIMITS}");
    let folder = configured("slow-reader", host.address, &settings, "5s");
    let mut serve = Serve::with(&["--config", folder.0.to_str().expect("UTF-8")]);
    host.answer(long_answers);
    serve.wait_for_line("connected");
    let mut good = serve.call();
    good.ask(&sale(1)).answers(&sale(1), "00");
    let before = serve.memory();
    let mut slow = serve.call();
    small_buffers(&slow);
    let flooding = thread::spawn(move || flood(&mut slow));
    let (mut slowest, mut stan) = (Duration::ZERO, 1);
    let mut most = before;
    while !flooding.is_finished() {
        stan += 1;
        let (request, asked) = (sale(stan), now());
        good.ask(&request).answers(&request, "00");
        slowest = slowest.max(asked.elapsed());
        most = most.max(serve.memory());
    }
    let flood = flooding.join().expect("it ends");
    assert!(flood.bytes < 16 << 20, "{} bytes were taken", flood.bytes);
    assert!(flood.stalled < ms(2500), "{:?}", flood.stalled);
    // What was asked lately is remembered, within its own bound.
    assert!(most - before < RECENT_BYTES as u64 + (48 << 20), "{} bytes more", most - before);
    assert!(slowest < ms(3000), "{slowest:?}");
    serve.wait_for_line("closed");
    good.ask(&sale(900)).answers(&sale(900), "00");
}

/// The requests of a partner that stops reading are answered all the same, each exactly once.
#[test]
fn a_partner_that_never_reads_is_closed_and_called_again() {
    let host = Host::new();
    let folder = bounded("slow-partner", host.address, LIMITS);
    let mut serve = Serve::with(&["--config", folder.0.to_str().expect("UTF-8")]);
    let stuck = host.accept();
    small_buffers(&stuck);
    serve.wait_for_line("connected");
    let before = serve.memory();
    let total = 8000;
    let mut pos = serve.call();
    let mut writer = pos.stream.try_clone().expect("a socket");
    let dialect = pos.dialect.clone();
    let long = "x".repeat(999);
    let writing = thread::spawn(move || {
        for stan in 1..=total {
            let frame = crate::message::framed(&dialect, &sale(stan).with(63, &long));
            writer.write_all(&frame).expect("it is read in the end");
        }
    });
    serve.wait_for_line("closed");
    host.answer(crate::rig::approve);
    let mut codes = BTreeMap::new();
    let mut seen = vec![false; total as usize + 1];
    for _ in 0..total {
        let heard = pos.receive();
        let stan: usize = heard.of(11).and_then(|stan| stan.parse().ok()).expect("a STAN");
        assert!(!seen[stan], "STAN {stan} answered twice");
        seen[stan] = true;
        *codes.entry(heard.code().to_owned()).or_insert(0) += 1;
    }
    writing.join().expect("written");
    assert!(codes.keys().all(|code| ["00", "91", "96"].contains(&code.as_str())), "{codes:?}");
    assert!(codes.contains_key("91"), "{codes:?}");
    assert!(serve.memory() - before < 96 << 20, "{} bytes", serve.memory() - before);
    pos.hears_nothing(ms(50));
    drop(stuck);
    let mut request = probe();
    let mut last = pos.ask(&request);
    while last.code() == "91" {
        request = probe();
        last = pos.ask(&request);
    }
    last.answers(&request, "00");
    assert!(matches!(pos.hear(ms(20)), Heard::Nothing));
}

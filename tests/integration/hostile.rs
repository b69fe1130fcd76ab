//! Bytes that are no stream of messages: the connection ends at once, and nobody else notices.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::message::{Plain, answer_to, bytes, sale};
use crate::rig::{AT_ONCE, Heard, Host, Line, Serve, approving, connected, ms, now, pause};

/// A connection that asks without rest, and what it found.
struct Bystander {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Bystander {
    fn start(serve: &Serve) -> Self {
        let mut line = serve.call();
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut stan = 0;
            while stan < 10 || !seen.load(Ordering::Relaxed) {
                stan += 1;
                let (request, asked) = (sale(stan), now());
                line.ask(&request).answers(&request, "00");
                assert!(asked.elapsed() < ms(800), "held up: {:?}", asked.elapsed());
                pause(ms(1));
            }
        });
        Self { stop, thread }
    }

    fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("every answer came, in time");
    }
}

/// What a switch has to say about garbage must not depend on somebody who listens.
#[test]
fn nobody_reads_the_output_and_nothing_comes_of_it() {
    let host = Host::new();
    let mut serve = Serve::start_unheard(host.address);
    let mut partner = host.accept();
    pause(ms(100));
    for _ in 0..50 {
        serve.call().send_bytes(&bytes("FFFF 00010203040506070809"));
    }
    let mut pos = serve.call();
    pos.send(&sale(1));
    let seen = partner.receive();
    partner.send(&answer_to(&seen, "00"));
    pos.receive().answers(&sale(1), "00");
    serve.signal("TERM");
    assert_eq!(serve.ends().code(), Some(0));
}

#[test]
fn garbage_is_cut_off_at_once() {
    let serve = approving(&[]);
    let bystander = Bystander::start(&serve);
    let hostile: [(&str, Vec<u8>); 11] = [
        ("length 0", bytes("0000")),
        ("length 1", bytes("000100")),
        ("length below the shortest message", bytes("000B 6000000000 0200 00000000")),
        ("length 65535 and ten bytes", bytes("FFFF 00010203040506070809")),
        ("length 4097", bytes("1001 6000000000 0200")),
        ("little-endian length", bytes("8200 6000000000 0200")),
        ("ASCII length", b"0123\x60\x00\x00\x00\x00\x02\x00".to_vec()),
        ("TLS hello", bytes("16 0301 0200 0100 01FC 0303")),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        ("POST", b"POST / HTTP/1.1\r\n\r\n".to_vec()),
        ("SSH", b"SSH-2.0-OpenSSH_9.9\r\n".to_vec()),
    ];
    for (what, bytes) in hostile {
        let mut line = serve.call();
        line.send_bytes(&bytes);
        let heard = line.hear(AT_ONCE);
        assert!(matches!(heard, Heard::End), "{what}: {heard:?}");
    }
    bystander.finish();
}

/// The bytes behind a bad length are not looked at, whatever they are.
#[test]
fn good_messages_behind_garbage_are_not_forwarded() {
    let (serve, _host, mut partner) = connected(&[]);
    for garbage in ["0000", "FFFF", "1603"] {
        let mut line = serve.call();
        let stream = [bytes(garbage), line.frame(&sale(1))].concat();
        line.send_bytes(&stream);
        line.ends_within(AT_ONCE);
    }
    partner.hears_nothing(ms(100));
}

#[test]
fn what_was_asked_before_garbage_was_asked() {
    let (serve, _host, mut partner) = connected(&[]);
    let mut pos = serve.call();
    let stream = [pos.frame(&sale(1)), bytes("FFFF0000")].concat();
    pos.send_bytes(&stream);
    // Answered or not, the connection ends, and the answer goes nowhere else.
    let mut other = serve.call();
    let seen = match partner.hear(ms(300)) {
        Heard::Message(seen) => Some(seen),
        _ => None,
    };
    if let Some(seen) = seen {
        partner.send(&answer_to(&seen, "00"));
    }
    match pos.hear(AT_ONCE) {
        Heard::Message(answer) => {
            answer.answers(&sale(1), "00");
            pos.ends_within(AT_ONCE);
        }
        heard => assert!(matches!(heard, Heard::End), "{heard:?}"),
    }
    other.hears_nothing(ms(100));
}

/// A length that counts itself, or forgets the TPDU, puts every later frame out of step.
#[test]
fn a_length_that_counts_wrongly_is_found_out() {
    for off in [2_i16, -2, 5, -5] {
        let (serve, _host, mut partner) = connected(&[]);
        let mut pos = serve.call();
        let mut frame = pos.frame(&sale(1));
        let length = i16::from_be_bytes([frame[0], frame[1]]) + off;
        frame[..2].copy_from_slice(&length.to_be_bytes());
        let stream = frame.repeat(4);
        let _ = pos.stream.write_all(&stream);
        loop {
            match pos.hear(AT_ONCE) {
                Heard::Message(answer) => assert_eq!(answer.code(), "30", "{answer:?}"),
                Heard::End => break,
                Heard::Nothing => panic!("off by {off}: still open"),
            }
        }
        partner.hears_nothing(ms(50));
    }
}

#[test]
fn random_bytes_never_reach_the_partner_nor_stop_the_switch() {
    let serve = approving(&[]);
    let bystander = Bystander::start(&serve);
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..100 {
        let mut line = serve.call();
        let mut noise = Vec::new();
        for _ in 0..64 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            noise.extend_from_slice(&state.to_le_bytes());
        }
        // A length that looks right makes the rest be read.
        noise[..2].copy_from_slice(&[0, 200]);
        let _ = line.stream.write_all(&noise);
        line.finish();
        while let Heard::Message(answer) = line.hear(AT_ONCE) {
            assert_ne!(answer.code(), "00");
        }
    }
    bystander.finish();
}

#[test]
fn answers_from_a_terminal_get_no_answer_and_the_third_ends_it() {
    let (serve, _host, mut partner) = connected(&[]);
    let mut pos = serve.call();
    let response = |mti: &str| Plain { mti: mti.into(), ..answer_to(&sale(1), "00") };
    for mti in ["0110", "0810"] {
        pos.send(&response(mti));
        pos.hears_nothing(ms(100));
    }
    pos.send(&response("0210"));
    pos.ends_within(AT_ONCE);
    partner.hears_nothing(ms(50));
}

/// What has no safe answer is dropped: a broken header, type or bitmap.
#[test]
fn what_cannot_be_answered_is_dropped_and_the_third_ends_it() {
    let (serve, _host, mut partner) = connected(&[]);
    let whole = serve.call().frame(&sale(1));
    let changed = |at: usize, with: &[u8]| {
        let mut frame = whole.clone();
        frame[at..at + with.len()].copy_from_slice(with);
        frame
    };
    let dropped: [(&str, Vec<u8>); 6] = [
        ("another TPDU", changed(2, &[0x99])),
        ("a nibble that is no digit in the MTI", changed(7, &[0x0A])),
        ("origin 7", changed(8, &[0x07])),
        ("a bitmap without bits", changed(9, &[0; 8])),
        ("a bitmap of ones over a short body", changed(9, &[0xFF; 8])),
        ("a second bitmap that is cut", bytes("000F 6000000000 0200 F000000000000000")),
    ];
    for (what, frame) in dropped {
        let mut pos = serve.call();
        for _ in 0..2 {
            pos.send_bytes(&frame);
        }
        let heard = pos.hear(ms(60));
        assert!(matches!(heard, Heard::Nothing), "{what}: {heard:?}");
        pos.send_bytes(&frame);
        let heard = pos.hear(AT_ONCE);
        assert!(matches!(heard, Heard::End), "{what}: {heard:?}");
    }
    partner.hears_nothing(ms(50));
}

#[test]
fn a_drop_does_not_hurt_what_follows() {
    let serve = approving(&[]);
    let mut pos: Line = serve.call();
    let response = Plain { mti: "0110".into(), ..answer_to(&sale(1), "00") };
    let request = sale(2);
    let stream = [pos.frame(&response), pos.frame(&request)].concat();
    pos.send_bytes(&stream);
    pos.receive().answers(&request, "00");
    pos.hears_nothing(ms(50));
}

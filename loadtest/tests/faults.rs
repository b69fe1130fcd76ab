//! Faults of the simulated partner as its peers meet them: a real process, and a bare socket.
//!
//! Each fault must be seen, and the requests around it answered: a partner that is always broken
//! proves nothing about who survives it.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A partner, ended with this.
struct Partner {
    child: Child,
    address: String,
}

impl Drop for Partner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Partner {
    fn start(flags: &[&str]) -> Partner {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
        command.args(["partner", "--listen", "127.0.0.1:0", "--no-tpdu"]).args(flags);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        let address = line.trim().rsplit(' ').next().expect("an address").to_owned();
        Partner { child, address }
    }

    fn suffering(fault: &str) -> Partner {
        Partner::start(&["--fault", fault])
    }

    fn connect(&self) -> Peer {
        let stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket option");
        Peer { stream }
    }
}

/// Who asks the partner.
struct Peer {
    stream: TcpStream,
}

impl Peer {
    fn ask(&mut self, stan: u8) {
        self.stream.write_all(&request(stan)).expect("it takes a request");
    }

    /// The next answer, or how the connection ended.
    fn answer(&mut self) -> Result<Vec<u8>, ErrorKind> {
        let mut frame = vec![0; ANSWER_BYTES];
        self.stream.read_exact(&mut frame).map_err(|error| error.kind())?;
        Ok(frame)
    }

    fn exchange(&mut self, stan: u8) -> Result<Vec<u8>, ErrorKind> {
        self.ask(stan);
        self.answer()
    }

    /// What comes until the connection ends.
    fn rest(&mut self) -> usize {
        let mut rest = Vec::new();
        // However it ends, it ended.
        let _ = self.stream.read_to_end(&mut rest);
        rest.len()
    }
}

/// DE 4, 11 and 37 of an authorization.
fn request(stan: u8) -> Vec<u8> {
    let mut frame = vec![0, 31, 0x01, 0x00, 0x10, 0x20, 0, 0, 0x08, 0, 0, 0];
    frame.extend([0, 0, 0, 0, 0x12, 0x34, 0, 0, stan]);
    frame.extend(format!("{stan:012}").bytes());
    frame
}

/// Right answers have DE 38 and 39 besides.
const ANSWER_BYTES: usize = 41;
const AMOUNT_END: usize = 18;
const STAN_END: usize = 21;

fn is_right(answer: &Result<Vec<u8>, ErrorKind>, stan: u8) -> bool {
    let Ok(answer) = answer else { return false };
    let right = |sent: &[u8]| sent[12..] == answer[12..33] && answer[39..] == *b"00";
    right(&request(stan))
}

#[test]
fn a_digit_that_is_none_and_a_length_that_is_a_lie() {
    let partner = Partner::suffering("malformed every 2");
    let mut peer = partner.connect();
    assert!(is_right(&peer.exchange(1), 1));
    let bad = peer.exchange(2).expect("an answer");
    assert_eq!(bad[AMOUNT_END - 1], 0x3F);
    assert!(is_right(&peer.exchange(3), 3));

    let partner = Partner::suffering("bad-length every 2");
    let mut peer = partner.connect();
    assert!(is_right(&peer.exchange(1), 1));
    assert_eq!(peer.exchange(2).expect("an answer")[..2], [0xFF, 0xFF]);
}

#[test]
fn a_swapped_pair_answers_each_others_request() {
    let partner = Partner::suffering("swapped every 2");
    let mut peer = partner.connect();
    assert!(is_right(&peer.exchange(1), 1));
    peer.ask(2);
    peer.ask(3);
    let [first, second] = [peer.answer(), peer.answer()].map(|it| it.expect("an answer"));
    assert_eq!([first[STAN_END - 1], second[STAN_END - 1]], [2, 3]);
    assert_eq!([first[32], second[32]], [b'3', b'2']);
}

#[test]
fn connections_end_in_every_way() {
    for (latency, fault, rest) in [
        ("0us", "half-frame every 2", ANSWER_BYTES / 2),
        ("5ms", "half-frame every 2", ANSWER_BYTES / 2),
        ("0us", "close every 2", 0),
        ("5ms", "close every 2", 0),
    ] {
        let partner = Partner::start(&["--latency", latency, "--fault", fault]);
        let mut peer = partner.connect();
        assert!(is_right(&peer.exchange(1), 1), "{fault}");
        peer.ask(2);
        assert_eq!(peer.rest(), rest, "{fault} {latency}");
        assert!(is_right(&partner.connect().exchange(3), 3), "{fault}");
    }
    for latency in ["0us", "5ms"] {
        let partner = Partner::start(&["--latency", latency, "--fault", "reset every 2"]);
        let mut peer = partner.connect();
        assert!(is_right(&peer.exchange(1), 1));
        assert_eq!(peer.exchange(2), Err(ErrorKind::ConnectionReset));
        assert!(is_right(&partner.connect().exchange(3), 3));
    }
}

#[test]
fn who_is_accepted_may_be_closed_at_once() {
    let partner = Partner::suffering("accept-close every 2");
    assert!(is_right(&partner.connect().exchange(1), 1));
    assert_eq!(partner.connect().rest(), 0);
    assert!(is_right(&partner.connect().exchange(3), 3));
}

#[test]
fn a_flapping_host_throws_everybody_out_and_comes_back() {
    let partner = Partner::start(&["--fault", "flap at 100ms for 1s", "--faults-on-hangup"]);
    let mut peer = partner.connect();
    assert!(is_right(&peer.exchange(1), 1));
    Command::new("sleep").arg("0.3").status().expect("time passes");
    assert!(is_right(&peer.exchange(2), 2), "nothing happens before the signal");
    let id = partner.child.id().to_string();
    Command::new("kill").args(["-HUP", &id]).status().expect("it is told");
    assert_eq!(peer.rest(), 0);
    assert_eq!(partner.connect().rest(), 0);
    let from = now();
    while !is_right(&exchange_if_any(&partner), 3) {
        assert!(from.elapsed() < Duration::from_secs(20), "it comes back");
    }
    assert!(from.elapsed() > Duration::from_millis(500), "it was away for a while");
}

fn exchange_if_any(partner: &Partner) -> Result<Vec<u8>, ErrorKind> {
    let mut peer = partner.connect();
    // It may be closed before or after.
    peer.stream.write_all(&request(3)).map_err(|error| error.kind())?;
    peer.answer()
}

#[test]
fn who_stalls_or_reads_slowly_answers_all_the_same() {
    let partner = Partner::suffering("stall every 2 for 600ms");
    let (mut peer, mut other) = (partner.connect(), partner.connect());
    assert!(is_right(&peer.exchange(1), 1) && is_right(&peer.exchange(2), 2));
    let from = now();
    assert!(is_right(&other.exchange(9), 9), "the other connection is well");
    assert!(is_right(&peer.exchange(3), 3));
    assert!(from.elapsed() > Duration::from_millis(300), "{:?}", from.elapsed());

    let partner = Partner::suffering("slow-reader every 1 for 9s");
    let mut peer = partner.connect();
    let from = now();
    (1..=100).for_each(|stan| peer.ask(stan));
    assert!((1..=100).all(|stan| is_right(&peer.answer(), stan)));
    // 3,300 bytes, 256 every 10 ms at most.
    assert!(from.elapsed() > Duration::from_millis(80), "{:?}", from.elapsed());
}

#[test]
fn answers_of_a_while_are_late_or_missing() {
    let partner = Partner::suffering("late=300ms every 2");
    let mut peer = partner.connect();
    let from = now();
    assert!(is_right(&peer.exchange(1), 1));
    peer.ask(2);
    peer.ask(3);
    assert!(is_right(&peer.answer(), 3) && is_right(&peer.answer(), 2));
    assert!(from.elapsed() >= Duration::from_millis(290), "{:?}", from.elapsed());
}

#[expect(clippy::disallowed_methods, reason = "a test may look at the clock")]
fn now() -> Instant {
    Instant::now()
}

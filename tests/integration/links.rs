//! Partners that come, go and stay away.

use crate::message::{answer_to, sale};
use crate::rig::{
    AT_ONCE, Heard, Host, Line, PATIENCE, Serve, approve, connected, ms, now, pause, reaching,
};

/// Asks until a partner is there: exactly one answer each time, 91 or 00.
fn ask_until_approved(pos: &mut Line) {
    let deadline = now() + PATIENCE;
    for stan in 500.. {
        let request = sale(stan);
        let heard = pos.ask(&request);
        heard.answers(&request, heard.code());
        match heard.code() {
            "00" => return,
            code => assert_eq!(code, "91"),
        }
        assert!(now() < deadline, "the partner is up and nothing is forwarded");
        pause(ms(20));
    }
}

/// Twenty requests in flight on two connections.
fn in_flight(serve: &Serve, partner: &mut Line) -> [Line; 2] {
    let mut lines = [reaching(serve, partner), reaching(serve, partner)];
    for stan in 1..=20 {
        lines[stan as usize % 2].send(&sale(stan));
    }
    for _ in 0..20 {
        partner.receive();
    }
    lines
}

/// Each of them is answered once with 91, long before its deadline.
fn each_is_91(lines: &mut [Line; 2]) {
    let lost = now();
    for stan in 1..=20 {
        lines[stan as usize % 2].receive().answers(&sale(stan), "91");
    }
    assert!(lost.elapsed() < AT_ONCE, "{:?}", lost.elapsed());
    for line in lines {
        line.hears_nothing(ms(50));
    }
}

#[test]
fn a_reset_partner_is_91_for_each_in_flight_and_is_called_again() {
    reset_in_flight(&["--deadline", "10s"]);
}

#[test]
fn a_reset_partner_is_91_on_every_worker_that_shares_it() {
    reset_in_flight(&["--deadline", "10s", "--workers", "2"]);
}

fn reset_in_flight(options: &[&str]) {
    let (serve, host, mut partner) = connected(options);
    let mut lines = in_flight(&serve, &mut partner);
    partner.reset();
    each_is_91(&mut lines);
    host.answer(approve);
    for line in &mut lines {
        ask_until_approved(line);
    }
}

#[test]
fn a_partner_that_leaves_in_the_middle_of_an_answer_is_91_for_each_in_flight() {
    let (serve, host, mut partner) = connected(&["--deadline", "10s"]);
    let mut lines = in_flight(&serve, &mut partner);
    let mut pos = serve.call();
    pos.send(&sale(99));
    let seen = partner.receive();
    let frame = partner.frame(&answer_to(&seen, "00"));
    partner.send_bytes(&frame[..30]);
    drop(partner);
    each_is_91(&mut lines);
    pos.receive().answers(&sale(99), "91");
    // The next connection starts clean.
    host.answer(approve);
    ask_until_approved(&mut lines[1]);
}

/// What a partner answered before it left was answered.
#[test]
fn answers_just_before_the_end_still_count() {
    let (serve, _host, mut partner) = connected(&["--deadline", "10s"]);
    let mut pos = serve.call();
    pos.send(&sale(1));
    pos.send(&sale(2));
    let (first, _second) = (partner.receive(), partner.receive());
    partner.send(&answer_to(&first, "00"));
    partner.finish();
    pos.receive().answers(&sale(1), "00");
    pos.receive().answers(&sale(2), "91");
}

#[test]
fn an_answer_of_the_last_connection_is_not_taken_on_the_next() {
    let (serve, host, mut partner) = connected(&["--deadline", "10s"]);
    let mut pos = serve.call();
    pos.send(&sale(1));
    let seen = partner.receive();
    partner.reset();
    pos.receive().answers(&sale(1), "91");
    let mut again = host.accept();
    again.send(&answer_to(&seen, "00"));
    pos.hears_nothing(ms(100));
    host.answer(approve);
}

#[test]
fn a_partner_that_hangs_up_at_once_is_not_stormed() {
    let host = Host::new();
    let serve = Serve::start(host.address, &[]);
    let (start, mut calls) = (now(), 0);
    while start.elapsed() < ms(2000) {
        if let Some(line) = host.accept_within(ms(20)) {
            calls += 1;
            drop(line);
        }
    }
    assert!((2..=25).contains(&calls), "{calls} calls in 2 s");
    let mut pos = serve.call();
    host.answer(approve);
    ask_until_approved(&mut pos);
}

#[test]
fn a_partner_that_is_not_there_yet() {
    let reserved = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = reserved.local_addr().expect("bound");
    drop(reserved);
    let mut serve = Serve::start(address, &[]);
    let mut pos = serve.call();
    let asked = now();
    for stan in 1..=3 {
        pos.ask(&sale(stan)).answers(&sale(stan), "91");
    }
    assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
    Host::at(&address.to_string(), "pos-bcd").answer(approve);
    serve.wait_for_line("connected");
    ask_until_approved(&mut pos);
}

#[test]
fn one_session_of_two_carries_on_alone() {
    let host = Host::new();
    let options = ["--partner-sessions", "2", "--workers", "1", "--deadline", "10s"];
    let mut serve = Serve::start(host.address, &options);
    let (lost, mut kept) = (host.accept(), host.accept());
    serve.wait_for_line("connected");
    serve.wait_for_line("connected");
    lost.reset();
    serve.wait_for_line("lost");
    let mut pos = serve.call();
    // The one that comes back does not answer; what it is sent is not lost on it but waits there.
    for stan in 1..=10 {
        pos.send(&sale(stan));
        let Heard::Message(seen) = kept.hear(ms(300)) else { continue };
        kept.send(&answer_to(&seen, "00"));
        pos.receive().answers(&sale(stan), "00");
    }
}

#[test]
fn both_sessions_share_the_work() {
    let host = Host::new();
    let options = ["--partner-sessions", "2", "--workers", "1"];
    let mut serve = Serve::start(host.address, &options);
    let mut partners = [host.accept(), host.accept()];
    serve.wait_for_line("connected");
    serve.wait_for_line("connected");
    let mut pos = serve.call();
    let mut heard = [0, 0];
    for stan in 1..=40 {
        pos.send(&sale(stan));
        let place = usize::from(partners[0].stream.peek_within().is_none());
        let seen = partners[place].receive();
        partners[place].send(&answer_to(&seen, "00"));
        pos.receive().answers(&sale(stan), "00");
        heard[place] += 1;
    }
    assert!(heard.iter().all(|count| *count > 0), "{heard:?}");
}

/// Whether something is there to read soon.
trait PeekWithin {
    fn peek_within(&self) -> Option<()>;
}

impl PeekWithin for std::net::TcpStream {
    fn peek_within(&self) -> Option<()> {
        self.set_read_timeout(Some(ms(20))).expect("not zero");
        self.peek(&mut [0]).ok().map(|_| ())
    }
}

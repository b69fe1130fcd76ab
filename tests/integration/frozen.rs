//! A process that stands still for a while, and one that has no file descriptors left.

use std::process::Command;

use crate::message::{answer_to, sale};
use crate::rig::{Heard, Host, Line, Serve, connected, ms, now, pause};

/// Its sockets are read before its timers are looked at: an answer that was there in time counts.
#[test]
fn an_answer_that_came_while_it_stood_still_beats_the_deadline() {
    let (serve, _host, mut partner) = connected(&["--deadline", "200ms"]);
    partner.takes_reversals = false;
    let mut pos = serve.call();
    for stan in 1..=8 {
        pos.send(&sale(stan));
        let seen = partner.receive();
        serve.signal("STOP");
        partner.send(&answer_to(&seen, "00"));
        pause(if stan == 1 { ms(1_200) } else { ms(230) });
        serve.signal("CONT");
        pos.receive().answers(&sale(stan), "00");
    }
    partner.hears_nothing(ms(200));
}

#[test]
fn what_was_not_answered_while_it_stood_still_is_declined_and_taken_back() {
    let (serve, _host, mut partner) = connected(&["--deadline", "500ms"]);
    partner.takes_reversals = false;
    let mut pos = serve.call();
    pos.send(&sale(1));
    let seen = partner.receive();
    serve.signal("STOP");
    pause(ms(1_000));
    serve.signal("CONT");
    pos.receive().answers(&sale(1), "91");
    partner.send(&answer_to(&seen, "00"));
    let reversal = partner.receive();
    assert_eq!(reversal.mti, "0420");
    partner.send(&answer_to(&reversal, "00"));
    pos.hears_nothing(ms(200));
}

/// Who cannot be let in waits at no cost to those who are in, and is let in when somebody leaves.
#[test]
fn without_descriptors_nobody_spins_and_nobody_is_forgotten() {
    let host = Host::new();
    let program = env!("CARGO_BIN_EXE_authswitch");
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n 48 && exec {program} serve \"$@\""), "sh"]);
    command.args(["--acquirer", "127.0.0.1:0", "--workers", "1"]);
    command.args(["--partner", &host.address.to_string()]);
    let mut serve = Serve::run(command, true);
    host.answer(crate::rig::approve);
    serve.wait_for_line("connected");
    let mut lines: Vec<Line> = (0..80).map(|_| serve.call()).collect();
    let said = serve.wait_for_line("accepting");
    assert!(said.contains("trying again"), "{said}");
    let (from, ticks) = (now(), serve.ticks());
    for stan in 1..20 {
        lines[0].ask(&sale(stan)).answers(&sale(stan), "00");
        pause(ms(25));
    }
    let busy = serve.ticks() - ticks;
    assert!(
        u128::from(busy) * 10 < from.elapsed().as_millis() / 2,
        "{busy} hundredths of a second"
    );
    let mut last = lines.pop().expect("80");
    last.send(&sale(100));
    assert!(matches!(last.hear(ms(100)), Heard::Nothing), "there was room for all");
    lines.truncate(20);
    last.receive().answers(&sale(100), "00");
}

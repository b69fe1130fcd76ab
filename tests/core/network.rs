//! Sign-on, sign-off and echo, in both directions.

use std::time::Duration;

use authswitch::switch::{Counter, Event};

use crate::rig::{HOST, POS, Plain, Rig, framed, sale};

fn network(stan: &str, code: &str) -> Plain {
    let fields = vec![(7, "1122021245".into()), (11, stan.into()), (70, code.into())];
    Plain { mti: "0800".into(), fields }
}

fn answered(request: &Plain, code: &str) -> Plain {
    crate::rig::answer_to(request, code)
}

#[test]
fn nothing_is_forwarded_before_the_partner_has_signed_us_on() {
    let mut rig = Rig::with("pos-bcd", "pos-bcd", |setup| setup.links[1].sign_on = true);
    let sign_on = rig.at_host().pop().expect("we sign on first");
    assert_eq!((sign_on.mti.as_str(), sign_on.of(70)), ("0800", Some("001")));
    let frame = framed(&rig.acquirer, &sale(1));
    rig.send(POS, &frame);
    assert!(rig.at_host().is_empty());
    assert_eq!(rig.at_pos()[0].of(39), Some("91"));
    let frame = framed(&rig.partner, &answered(&sign_on, "00"));
    rig.send(HOST, &frame);
    rig.sale(2);
}

#[test]
fn a_refused_or_unanswered_sign_on_closes_the_connection() {
    let mut rig = Rig::with("pos-bcd", "pos-bcd", |setup| setup.links[1].sign_on = true);
    let sign_on = rig.at_host().pop().expect("we sign on first");
    let frame = framed(&rig.partner, &answered(&sign_on, "91"));
    rig.send(HOST, &frame);
    assert_eq!(rig.closes(), [HOST]);
    let mut rig = Rig::with("pos-bcd", "pos-bcd", |setup| setup.links[1].sign_on = true);
    rig.pass(Duration::from_secs(9));
    assert!(rig.closes().is_empty());
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.closes(), [HOST]);
}

#[test]
fn a_silent_partner_is_asked_for_an_echo_and_closed_without_one() {
    let interval = Duration::from_secs(30);
    let mut rig =
        Rig::with("pos-bcd", "pos-bcd", |setup| setup.links[1].echo_interval = Some(interval));
    rig.pass(interval);
    let echo = rig.at_host().pop().expect("an echo");
    assert_eq!((echo.mti.as_str(), echo.of(70)), ("0800", Some("301")));
    let frame = framed(&rig.partner, &answered(&echo, "00"));
    rig.send(HOST, &frame);
    rig.pass(interval);
    assert_eq!(rig.at_host().len(), 1, "the next echo");
    rig.pass(Duration::from_secs(10));
    assert_eq!(rig.closes(), [HOST]);
    assert_eq!(rig.count(Counter::UnmatchedAnswers), 0);
}

#[test]
fn a_partner_that_signs_off_gets_nothing_until_it_signs_on() {
    let mut rig = Rig::new();
    let frame = framed(&rig.partner, &network("000009", "002"));
    rig.send(HOST, &frame);
    assert_eq!(rig.at_host()[0].mti, "0810");
    let frame = framed(&rig.acquirer, &sale(1));
    rig.send(POS, &frame);
    assert_eq!(rig.at_pos()[0].of(39), Some("91"));
    let frame = framed(&rig.partner, &network("000010", "001"));
    rig.send(HOST, &frame);
    assert_eq!(rig.at_host()[0].of(39), Some("00"));
    rig.sale(2);
}

#[test]
fn an_acquirer_that_must_sign_on_is_refused_before() {
    let mut rig = Rig::with("pos-bcd", "pos-bcd", |setup| setup.links[0].sign_on = true);
    let frame = framed(&rig.acquirer, &sale(1));
    rig.send(POS, &frame);
    assert_eq!(rig.at_pos()[0].of(39), Some("91"));
    let frame = framed(&rig.acquirer, &network("000002", "001"));
    rig.send(POS, &frame);
    assert_eq!(rig.at_pos()[0].of(39), Some("00"));
    rig.sale(3);
    let frame = framed(&rig.acquirer, &network("000004", "002"));
    rig.send(POS, &frame);
    rig.at_pos();
    let frame = framed(&rig.acquirer, &sale(5));
    rig.send(POS, &frame);
    assert_eq!(rig.at_pos()[0].of(39), Some("91"));
}

#[test]
fn we_sign_off_when_everybody_is_done_and_not_before() {
    let mut rig = Rig::with("pos-bcd", "pos-bcd", |setup| setup.links[1].sign_on = true);
    let sign_on = rig.at_host().pop().expect("we sign on first");
    let frame = framed(&rig.partner, &answered(&sign_on, "00"));
    rig.send(HOST, &frame);
    rig.feed(Event::Drain);
    assert!(rig.switch.is_drained());
    assert!(rig.at_host().is_empty(), "other workers may still use the session");
    rig.feed(Event::Leave);
    let sign_off = rig.at_host().pop().expect("we sign off");
    assert_eq!(sign_off.of(70), Some("002"));
    let frame = framed(&rig.partner, &answered(&sign_off, "00"));
    rig.send(HOST, &frame);
    assert_eq!(rig.count(Counter::UnmatchedAnswers), 0);
}

#[test]
fn a_response_of_network_management_is_never_answered() {
    let mut rig = Rig::new();
    let mut stray = answered(&network("000009", "301"), "00");
    stray.mti = "0810".into();
    let frame = framed(&rig.partner, &stray);
    rig.send(HOST, &frame);
    assert!(rig.at_host().is_empty());
    let frame = framed(&rig.acquirer, &stray);
    rig.send(POS, &frame);
    assert!(rig.at_pos().is_empty());
}

//! Wrong, hostile and half messages: each gets the reaction of the table.

use std::time::Duration;

use authswitch::switch::{Counter, Event};

use crate::rig::{HOST, POS, Plain, Rig, framed, sale};

enum Reaction {
    Code(&'static str),
    Silence,
    Close,
}
use Reaction::{Close, Code, Silence};

fn react(change: impl FnOnce(&mut Plain), expected: &Reaction) {
    let mut rig = Rig::new();
    let mut message = sale(1);
    change(&mut message);
    let frame = framed(&rig.acquirer, &message);
    check(&mut rig, &frame, expected);
}

fn check(rig: &mut Rig, bytes: &[u8], expected: &Reaction) {
    rig.send(POS, bytes);
    assert!(rig.bytes(HOST).is_empty(), "nothing is forwarded");
    let answers = rig.at_pos();
    match expected {
        Code(code) => {
            assert_eq!(answers.len(), 1, "one answer");
            assert_eq!(answers[0].of(39), Some(*code));
            assert_eq!(answers[0].of(11), Some("000001"));
            assert!(rig.closes().is_empty());
        }
        Silence => {
            assert!(answers.is_empty());
            assert!(rig.closes().is_empty());
            assert_eq!(rig.count(Counter::Dropped), 1);
        }
        Close => {
            assert!(answers.is_empty());
            assert_eq!(rig.closes(), [POS]);
        }
    }
}

fn set(message: &mut Plain, element: u8, value: &str) {
    message.fields.retain(|(e, _)| *e != element);
    message.fields.push((element, value.into()));
    message.fields.sort_by_key(|(e, _)| *e);
}

#[test]
fn values_that_make_no_sense() {
    let cases: [(u8, &str, Reaction); 11] = [
        (3, "770000", Code("12")),
        (4, "000000000000", Code("13")),
        (7, "0231256199", Code("30")),
        (11, "000000", Silence),
        (39, "00", Code("30")),
        (49, "158", Code("30")),
        (35, "4761340000000019291212345", Code("30")),
        (35, "4761340000000019=2912=345", Code("30")),
        (35, "4761340000000018=2912345", Code("30")),
        (55, "5A084761340000000018", Code("30")),
        (55, "9F2608112233445566778857084761340000000018", Code("30")),
    ];
    for (element, value, expected) in cases {
        let expected = if element == 11 { Reaction::Code("30") } else { expected };
        let mut rig = Rig::new();
        let mut message = sale(1);
        set(&mut message, element, value);
        let frame = framed(&rig.acquirer, &message);
        rig.send(POS, &frame);
        let answers = rig.at_pos();
        let Code(code) = expected else { panic!("a code") };
        assert_eq!(answers.first().and_then(|a| a.of(39)), Some(code), "DE {element} = {value}");
        assert!(rig.bytes(HOST).is_empty(), "DE {element} = {value}");
    }
}

#[test]
fn elements_that_must_be_there() {
    for element in [3, 4, 41] {
        react(|message| message.fields.retain(|(e, _)| *e != element), &Code("30"));
    }
    react(|message| message.fields.retain(|(e, _)| *e != 11), &Silence);
}

#[test]
fn message_types() {
    let cases = [
        ("0210", Silence),
        ("0110", Silence),
        ("0810", Silence),
        ("0430", Silence),
        ("1200", Code("30")),
        ("0700", Code("12")),
        ("0900", Code("12")),
        ("0202", Code("12")),
        ("0205", Code("12")),
        ("0206", Silence),
        ("0209", Silence),
    ];
    for (mti, expected) in cases {
        react(|message| message.mti = mti.into(), &expected);
    }
}

#[test]
fn damaged_bytes() {
    let rig = Rig::new();
    let good = framed(&rig.acquirer, &sale(1));
    // TPDU 5, MTI 2, bitmap 8, then DE 2 (1 + 8), DE 3 at 26, DE 4 at 29, DE 7 at 35.
    let body = 2;
    let damage = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[body + at] = byte;
        bytes
    };
    let mut longer = good.clone();
    longer.push(0);
    longer[1] += 1;
    let cases = [
        ("DE 4 nibble", damage(24 + 3, 0x0A), Code("30")),
        ("MTI nibble", damage(5, 0x0A), Silence),
        ("TPDU id", damage(0, 0x61), Silence),
        ("trailing byte", longer, Code("30")),
    ];
    for (what, bytes, expected) in cases {
        let mut rig = Rig::new();
        eprintln!("{what}");
        check(&mut rig, &bytes, &expected);
    }
    let mut empty = good[..body + 7].to_vec();
    empty.extend([0; 8]);
    empty[..2].copy_from_slice(&[0, 15]);
    check(&mut Rig::new(), &empty, &Silence);
    let mut full = good[..body + 7].to_vec();
    full.extend([0xFF; 20]);
    full[..2].copy_from_slice(&[0, 27]);
    check(&mut Rig::new(), &full, &Silence);
}

#[test]
fn streams_that_are_none() {
    for bytes in [
        &[0, 0][..],
        &[0, 1, 2],
        &[0xFF, 0xFF, 1, 2, 3, 4, 5, 6, 7, 8],
        &[0x16, 0x03, 0x01, 0x02],
        b"GET / HTTP/1.1\r\n",
        b"SSH-2.0-x\r\n",
        b"0123",
        &[0x10, 0x01],
    ] {
        check(&mut Rig::new(), bytes, &Close);
    }
}

#[test]
fn three_drops_close_the_connection() {
    let mut rig = Rig::new();
    let mut answer = sale(1);
    answer.mti = "0210".into();
    let frame = framed(&rig.acquirer, &answer);
    rig.send(POS, &frame);
    rig.send(POS, &frame);
    assert!(rig.closes().is_empty());
    rig.send(POS, &frame);
    assert_eq!(rig.closes(), [POS]);
}

#[test]
fn drops_count_only_in_a_row() {
    let mut rig = Rig::new();
    let mut answer = sale(1);
    answer.mti = "0210".into();
    let stray = framed(&rig.acquirer, &answer);
    for stan in 1..10 {
        rig.send(POS, &stray);
        rig.send(POS, &stray);
        rig.sale(stan);
    }
    assert!(rig.closes().is_empty());
}

#[test]
fn account_data_in_emv_data_must_agree() {
    let cases: [(&[u8], &str, Reaction); 5] = [
        (&[], "5A084761340000000019", Silence),
        (&[], "700A5A086212345678909999", Code("30")),
        (&[2], "5A08476134000000001957094761340000000018D2", Code("30")),
        (&[2], "5A08476134000000001957094761340000000019D2", Silence),
        (&[2], "57094761340000000019D2", Silence),
    ];
    for (without, emv, expected) in cases {
        let mut rig = Rig::new();
        let mut message = sale(1);
        message.fields.retain(|(element, _)| !without.contains(element));
        set(&mut message, 55, emv);
        let frame = framed(&rig.acquirer, &message);
        rig.send(POS, &frame);
        let forwarded = rig.at_host().len();
        match expected {
            Code(code) => {
                assert_eq!((rig.at_pos()[0].of(39), forwarded), (Some(code), 0), "{emv}");
                assert_eq!(rig.count(Counter::SecurityEvents), 1);
            }
            _ => assert_eq!(forwarded, 1, "{emv}"),
        }
    }
}

#[test]
fn an_account_number_of_no_digits_is_none() {
    let mut rig = Rig::new();
    let mut message = sale(1);
    set(&mut message, 2, "");
    let frame = framed(&rig.acquirer, &message);
    check(&mut rig, &frame, &Code("30"));
}

#[test]
fn a_frame_must_be_complete_in_time_counted_from_its_first_byte() {
    let mut rig = Rig::new();
    let frame = framed(&rig.acquirer, &sale(1));
    for end in 1..5 {
        rig.send(POS, &frame[..end]);
        rig.pass(Duration::from_millis(1200));
    }
    assert!(rig.closes().is_empty());
    rig.pass(Duration::from_millis(200));
    assert_eq!(rig.closes(), [POS]);
}

#[test]
fn any_split_of_a_stream_gives_the_same_frames() {
    let rig = Rig::new();
    let stream: Vec<u8> = (1..4).flat_map(|stan| framed(&rig.acquirer, &sale(stan))).collect();
    for piece in 1..stream.len() {
        let mut rig = Rig::new();
        let mut unread = Vec::new();
        for chunk in stream.chunks(piece) {
            unread.extend_from_slice(chunk);
            let taken = rig.send(POS, &unread);
            unread.drain(..taken);
        }
        assert!(unread.is_empty());
        assert_eq!(rig.at_host().len(), 3, "pieces of {piece}");
    }
}

#[test]
fn damaged_partner_answers_never_reach_a_pos() {
    let mut rig = Rig::new();
    let forwarded = rig.sale(1);
    let answer = crate::rig::answer_to(&forwarded, "00");
    let good = framed(&rig.partner, &answer);
    for at in 2..good.len() {
        for bit in 0..8 {
            let mut rig = Rig::new();
            rig.sale(1);
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            rig.send(HOST, &bytes);
            for seen in rig.at_pos() {
                assert_eq!(seen.of(11), Some("000001"), "byte {at} bit {bit}");
                assert_eq!(seen.of(4), Some("000000001250"), "byte {at} bit {bit}");
                assert_eq!(seen.of(37), sale(1).of(37), "byte {at} bit {bit}");
                assert_eq!(seen.of(41), Some("TERM0001"), "byte {at} bit {bit}");
            }
        }
    }
}

#[test]
fn an_echo_storm_is_dropped_and_an_unknown_code_refused() {
    let mut rig = Rig::new();
    let echo = Plain {
        mti: "0800".into(),
        fields: vec![(7, "1122021245".into()), (11, "000001".into()), (70, "301".into())],
    };
    let frame = framed(&rig.acquirer, &echo);
    rig.send(POS, &frame);
    let answers = rig.at_pos();
    assert_eq!((answers[0].mti.as_str(), answers[0].of(39)), ("0810", Some("00")));
    assert_eq!(answers[0].of(70), Some("301"));
    let mut unknown = echo;
    set(&mut unknown, 70, "999");
    let frame = framed(&rig.acquirer, &unknown);
    rig.send(POS, &frame);
    assert_eq!(rig.at_pos()[0].of(39), Some("12"));
    for _ in 0..40 {
        rig.send(POS, &frame);
    }
    assert!(rig.at_pos().len() < 25);
    rig.feed(Event::Deadline);
}

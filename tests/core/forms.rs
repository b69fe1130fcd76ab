//! What is known of forms makes comparing faster, and must not change what fits.

use proptest::prelude::*;

use authswitch::iso8583::decode::Index;
use authswitch::switch::Counter;

use crate::rig::{HOST, POS, Plain, Rig, answer_to, dialect, framed, sale};

/// Known from their third message on; by then two forms have met each other too.
const TEACHING: u32 = 6;

/// Elements in which an answer may not contradict its request, and what else they could say.
const WATCHED: [(u8, &str); 8] = [
    (2, "4761340000000027"),
    (3, "200000"),
    (4, "000000001251"),
    (7, "1122021246"),
    (37, "999999999999"),
    (41, "TERM0002"),
    (42, "MERCHANT0000002"),
    (49, "840"),
];

fn answer_with_account(forwarded: &Plain) -> Plain {
    answer_to(forwarded, "00").with(2, forwarded.of(2).expect("an account"))
}

#[test]
fn an_answer_of_a_known_form_may_contradict_its_request_in_nothing() {
    for (element, other) in WATCHED {
        let mut rig = Rig::new();
        for stan in 1..=TEACHING {
            let forwarded = rig.sale(stan);
            rig.say(&answer_with_account(&forwarded));
            assert_eq!(rig.at_pos().len(), 1);
        }
        let forwarded = rig.sale(100);
        let right = answer_with_account(&forwarded);
        rig.say(&right.clone().with(element, other));
        assert!(rig.at_pos().is_empty(), "DE {element}");
        let refused = rig.count(Counter::WrongAnswers) + rig.count(Counter::UnmatchedAnswers);
        assert_eq!(refused, 1, "DE {element}");
        rig.say(&right);
        assert_eq!(rig.at_pos(), [right.with(11, "000100")]);
    }
}

/// The last byte of a run and the first of the next, whatever stands between: each digit of each
/// watched element matters.
#[test]
fn every_byte_of_an_answer_of_a_known_form_matters() {
    let mut rig = Rig::new();
    let mut stan = 0;
    let mut next = |rig: &mut Rig| {
        stan += 1;
        let forwarded = rig.sale(stan);
        answer_with_account(&forwarded)
    };
    for _ in 0..TEACHING {
        let right = next(&mut rig);
        rig.say(&right);
    }
    for (element, _) in WATCHED {
        for place in 0..sale(1).of(element).map_or(0, str::len) {
            let right = next(&mut rig);
            rig.bytes(POS);
            let mut other = right.of(element).expect("it has one").to_owned().into_bytes();
            other[place] = if other[place] == b'1' { b'2' } else { b'1' };
            let wrong = right.clone().with(element, &String::from_utf8(other).expect("ASCII"));
            rig.say(&wrong);
            assert!(rig.at_pos().is_empty(), "DE {element}, place {place}");
            rig.say(&right);
            assert_eq!(rig.at_pos().len(), 1, "DE {element}, place {place}");
        }
    }
}

/// Packed, an odd number of digits ends as the even one with a 0 behind it.
#[test]
fn an_account_is_not_the_one_with_a_digit_more() {
    let mut rig = Rig::new();
    for (stan, account, other) in
        [(1, "476134000000001", "4761340000000010"), (2, "4761340000000010", "476134000000001")]
    {
        rig.send(POS, &framed(&rig.acquirer.clone(), &sale(stan).with(2, account)));
        let forwarded = rig.at_host().pop().expect("forwarded");
        rig.say(&answer_to(&forwarded, "00").with(2, other));
        assert!(rig.at_pos().is_empty(), "{other} is not {account}");
        rig.say(&answer_to(&forwarded, "00").with(2, account));
        assert_eq!(rig.at_pos().len(), 1);
    }
}

/// A reference number of digits is taken for one that always is; once letters were seen in it, both
/// are of one form.
#[test]
fn letters_where_digits_were_are_learned() {
    let dialect = dialect("pos-bcd");
    let message = |reference: &str| framed(&dialect, &sale(1).with(37, reference))[2..].to_vec();
    let (digits, letters) = (message("600000000001"), message("AB0000 00001"));
    let mut broken = digits.clone();
    let at = broken.windows(12).position(|bytes| bytes == b"600000000001").expect("DE 37");
    broken[at + 1] = b'*';
    let (mut index, mut careful) = (Index::numbering(), Index::default());
    for _ in 0..TEACHING {
        dialect.decode(&digits, &mut index).expect("sound");
    }
    assert!(index.form().is_some(), "known");
    for round in 0..4 {
        for message in [&letters, &digits] {
            dialect.decode(message, &mut index).expect("sound");
            assert!(round == 0 || index.form().is_some(), "of a known form");
        }
        let found = dialect.decode(&broken, &mut index);
        assert_eq!(found, dialect.decode_with_care(&broken, &mut careful));
        assert!(found.is_err());
    }
}

/// One transaction of a mixed stream: which elements request and answer leave out, and in which the
/// answer says something else.
#[derive(Debug, Clone)]
struct Step {
    asked_without: u8,
    answered_without: u8,
    other_in: Option<usize>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Few of each, so that forms are met again.
    let without = prop::sample::select(vec![0u8, 1 << 6, 1 << 7, 1 << 6 | 1 << 7, 1 << 4]);
    let other = prop::option::weighted(0.3, 0..WATCHED.len());
    let step = (without.clone(), without, other).prop_map(|(asked, answered, other_in)| Step {
        asked_without: asked,
        answered_without: answered,
        other_in,
    });
    prop::collection::vec(step, 1..120)
}

fn leave_out(mut message: Plain, elements: u8) -> Plain {
    for (place, (element, _)) in WATCHED.iter().enumerate() {
        if elements >> place & 1 == 1 {
            message = message.without(*element);
        }
    }
    message
}

/// More of them than are remembered, so that they take each other's places.
#[test]
fn many_forms_are_not_mixed_up() {
    let mut rig = Rig::new();
    let mut stan = 0;
    for form in 0..160 {
        // All elements behind them stand elsewhere in each form.
        let (account, length) = (&"476134000000001900"[..12 + 2 * (form % 3)], 1 + form / 3);
        // What sits firmly is driven out by what comes often.
        let known = std::iter::repeat_n(("156", None), 24);
        for (currency, code) in known.chain([("000", Some("30"))]) {
            stan += 1;
            let request = sale(stan).with(2, account).with(48, &"7".repeat(length));
            let request = request.with(49, currency);
            let (forwarded, heard) = judged(&mut rig, &request);
            assert_eq!(heard.first().map(Plain::code), code, "form {form}");
            assert_eq!(forwarded.len(), usize::from(code.is_none()));
        }
    }
}

#[test]
fn two_accounts_in_one_message_are_seen_in_each_form() {
    let mut rig = Rig::new();
    for stan in 1..=TEACHING {
        let request = sale(stan).with(35, "4761340000000019=29121010000000000000");
        let (forwarded, heard) = judged(&mut rig, &request);
        assert_eq!((forwarded.len(), heard.len()), (1, 0));
    }
    let request = sale(TEACHING + 1).with(35, "4761340000000027=29121010000000000000");
    let (forwarded, heard) = judged(&mut rig, &request);
    assert_eq!(forwarded, []);
    assert_eq!(heard.first().map(Plain::code), Some("30"));
}

/// What requests of one form can say otherwise, and some that is not sound.
const SAID: [(u8, &str); 14] = [
    (3, "200000"),
    (3, "770000"),
    (4, "000000000000"),
    (4, "999999999999"),
    (7, "0229120000"),
    (7, "1332120000"),
    (7, "1122250000"),
    (22, "031"),
    (25, "51"),
    (41, "TERM0002"),
    (42, "MERCHANT0000002"),
    (49, "840"),
    (49, "000"),
    (2, "6210940000000011"),
];

/// How a request is judged: what the partner sees of it, and what the terminal hears.
fn judged(rig: &mut Rig, request: &Plain) -> (Vec<Plain>, Vec<Plain>) {
    let frame = framed(&rig.acquirer.clone(), request);
    assert_eq!(rig.send(POS, &frame), frame.len());
    let forwarded = rig.at_host().into_iter().map(|message| message.with(11, "000000")).collect();
    (forwarded, rig.at_pos())
}

#[test]
fn a_request_of_a_known_form_is_judged_as_the_first_of_its_form() {
    for dialect in ["pos-bcd", "iso87-ascii", "iso87-binary", "mastercard-ebcdic"] {
        let mut known = Rig::with(dialect, dialect, |_| ());
        for stan in 1..=TEACHING {
            judged(&mut known, &sale(stan));
        }
        let two = |first: &(u8, &str), second: &(u8, &str)| {
            let request = sale(0).with(first.0, first.1).with(second.0, second.1);
            ["0200", "0100", "0400"].map(|mti| request.clone().typed(mti))
        };
        let pairs = SAID.iter().flat_map(|first| SAID.iter().map(move |second| (first, second)));
        let requests = pairs.flat_map(|(first, second)| two(first, second));
        for (stan, request) in (TEACHING + 1..).zip(requests) {
            let request = request.with(11, &format!("{stan:06}"));
            let mut stranger = Rig::with(dialect, dialect, |_| ());
            let expected = judged(&mut stranger, &request);
            assert_eq!(judged(&mut known, &request), expected, "{dialect}: {request:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever forms come in which order: an answer is handed over if it agrees in all that both
    /// have, and else it is not.
    #[test]
    fn forms_known_or_not_are_compared_alike(steps in steps()) {
        let mut rig = Rig::new();
        for (stan, step) in (1..).zip(steps) {
            let request = leave_out(sale(stan), step.asked_without);
            rig.send(POS, &framed(&rig.acquirer.clone(), &request));
            let forwarded = rig.at_host().pop().expect("forwarded");
            let right = leave_out(answer_with_account(&forwarded), step.answered_without);
            let (element, value) = WATCHED[step.other_in.unwrap_or(0)];
            let is_in_both = right.of(element).is_some();
            let answer = match step.other_in {
                Some(_) if is_in_both => right.clone().with(element, value),
                _ => right.clone(),
            };
            rig.send(HOST, &framed(&rig.partner.clone(), &answer));
            let expected = usize::from(answer == right);
            prop_assert_eq!(rig.at_pos().len(), expected, "{:?}", step);
            if expected == 0 {
                rig.say(&right);
                prop_assert_eq!(rig.at_pos().len(), 1, "{:?}", step);
            }
        }
    }
}

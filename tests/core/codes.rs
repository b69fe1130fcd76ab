//! Scanned codes: found where the dialect says, told from cards, checked against the message.

use authswitch::app::dialect_file;
use authswitch::base::authorization::{Form, Instrument};
use authswitch::iso8583::decode::Index;
use authswitch::iso8583::dialect::Dialect;
use authswitch::iso8583::frame::{self, Cut};
use authswitch::iso8583::message::Message;
use authswitch::iso8583::spec::{CompositeSpec, Spec};
use authswitch::switch::sound;

use crate::rig::{HOST, POS, Plain, Rig, framed, sale};

/// A sale without a card, of CNY 12.50.
fn scan() -> Plain {
    sale(1).without(2).with(22, "031")
}

/// `code` in tag A3 of DE 59.
fn tagged(code: &str) -> Plain {
    scan().with(59, &format!("A2003xyzA3{:03}{code}", code.len()))
}

/// What the dialect finds to pay with.
fn payer(dialect: &Dialect, message: &Plain) -> Option<Instrument> {
    let bytes = framed(dialect, message);
    let Cut::Frame { start, end, .. } = frame::cut(&dialect.spec.framing, &bytes) else {
        panic!("a frame")
    };
    let (body, mut index) = (&bytes[start..end], Index::default());
    dialect.decode(body, &mut index).expect("a sound message");
    sound::facts(&Message { bytes: body, index: &index, dialect }).instrument
}

fn code(digits: &str) -> Option<Instrument> {
    Some(Instrument::from_digits(digits.as_bytes(), true).expect("digits"))
}

fn application(name: &[u8]) -> Option<Instrument> {
    Some(Instrument::from_application(name).expect("a name"))
}

fn dialect(change: impl FnOnce(&mut Spec)) -> Dialect {
    let mut spec = dialect_file::load("pos-bcd", None).expect("a shipped dialect");
    change(&mut spec);
    Dialect::compile(spec)
}

#[test]
fn a_code_is_read_where_it_stands() {
    let pos = dialect(|_| ());
    let of = |message: Plain| payer(&pos, &message);
    assert_eq!(of(tagged("281006012345678901234567")), code("281006012345678901234567"));
    assert_eq!(of(scan().with(2, "6212345678901234567")), code("6212345678901234567"));
    assert_eq!(of(scan().with(35, "28804567890123456")), code("28804567890123456"));
    let long = "281006012345678901234567";
    assert_eq!(of(scan().with(35, long)), code(long), "longer than a PAN may be");
    assert_eq!(of(scan().with(35, "28804567890123456=1")), code("28804567890123456"));
    // Without the tag the next place counts; with it, no other.
    let both = scan().with(59, "A2003xyz").with(35, "134919586213926735");
    assert_eq!(of(both), code("134919586213926735"));
    assert_eq!(of(tagged("2893612204263667830").with(35, long)), code("2893612204263667830"));
    // What was not scanned is a card, and a track without an end is none.
    assert_eq!(of(sale(1)).expect("a card").form(), Form::Pan);
    assert_eq!(of(sale(1).without(2).with(35, "28804567890123456")), None);
    assert_eq!(of(tagged("281006012345678901234567").with(22, "051")), None);
    assert_eq!(of(scan()), None);
    assert_eq!(of(tagged("not-a-code")), None);
}

#[test]
fn the_dialect_says_where_and_when() {
    let private = dialect(|spec| {
        let parts = vec![("partner".into(), 4), ("code".into(), 40), ("rest".into(), 2)];
        spec.composites.insert("qr".into(), CompositeSpec::Positional { parts });
        spec.fields.get_mut(&63).expect("DE 63").inner = Some("qr".into());
        spec.scan.entry_modes = vec![79, 4];
        spec.scan.places = vec![(63, Some("code".into())), (62, None)];
    });
    let of = |message: Plain| payer(&private, &message);
    let digits = "280244567856723026";
    let part = format!("THB1{digits:<40}  ");
    let whole = scan().with(62, digits);
    assert_eq!(of(scan().with(22, "790").with(63, &part)), code(digits));
    assert_eq!(of(whole.clone().with(22, "041")), code(digits));
    assert_eq!(of(whole.clone().with(22, "041").with(63, &part)), code(digits));
    assert_eq!(of(whole), None, "DE 22 = 031 is no scan here");
    assert_eq!(of(tagged(digits).with(22, "790")), None, "nor is DE 59 looked into");
}

#[test]
fn an_emv_code_names_its_application() {
    let pos = dialect(|_| ());
    let of = |message: Plain| payer(&pos, &message);
    assert_eq!(of(tagged(WALLET)), application(&[0xA0, 0, 0, 3, 0x33, 1, 1, 1, 2]));
    let merchant = [0xA0, 0, 0, 3, 0x33];
    let shop = tagged(SHOP).with(4, "000000001000");
    assert_eq!(of(shop.clone()), application(&merchant), "tag 15 is UnionPay's");
    let payer_beside = shop.with(2, "6212345678901234");
    assert_eq!(of(payer_beside).expect("a card").form(), Form::Pan);
}

#[test]
fn a_damaged_code_goes_nowhere_and_a_sound_one_goes_on() {
    let half = &WALLET[..WALLET.len() - 4];
    let tampered = SHOP.replace("10.00", "90.00");
    let shop = tagged(SHOP).with(4, "000000001000");
    let tip = tagged(TIP).with(4, "000000000900");
    for (what, message, code) in [
        ("a wallet's code", tagged(WALLET), None),
        ("half of it", tagged(half), Some("30")),
        ("a shop's code", shop.clone(), None),
        ("another amount", shop.clone().with(4, "000000001001"), Some("30")),
        ("another currency", shop.clone().with(49, "344"), Some("30")),
        ("a wrong checksum", tagged(&tampered).with(4, "000000009000"), Some("30")),
        ("with a tip", tip.clone(), None),
        ("less than the amount", tip.with(4, "000000000799"), Some("30")),
        ("in place of a track", scan().with(35, "28804567890123456"), None),
        ("not scanned", scan().with(35, "28804567890123456").with(22, "021"), Some("30")),
        ("two separators", scan().with(35, "288045678=0123=456"), Some("30")),
    ] {
        let mut rig = Rig::new();
        rig.ask(POS, &message);
        let answer = rig.at_pos().pop();
        assert_eq!(answer.as_ref().map(Plain::code), code, "{what}");
        assert_eq!(rig.bytes(HOST).is_empty(), code.is_some(), "{what}");
    }
}

#[test]
fn a_code_in_place_of_a_track_reaches_a_partner_with_another_dialect() {
    let mut rig = Rig::with("pos-bcd", "iso87-ascii", |_| ());
    for digits in ["28804567890123456", "281006012345678901234567"] {
        let stan = format!("{:06}", digits.len());
        rig.ask(POS, &scan().with(35, digits).with(11, &stan));
        let seen = rig.at_host().pop().expect("forwarded");
        assert_eq!(seen.of(35), Some(digits));
    }
}

/// UnionPay's application in a wallet's code.
const WALLET: &str = "hQVDUFYwMWEYTwmgAAADMwEBAQJXC2ISNFZ4kBI00lEv";

/// UnionPay's account in a shop's code: CNY 10.00.
const SHOP: &str = "000201010212152831260156000000000000000A0001520458125303156540510.005802CN5909\
    Tea House6008Hangzhou63044D04";

/// UnionPay's application, CNY 8.00 and a tip.
const TIP: &str = "00020101021226260014A00000033301010104SHOP52045812530315654048.005502015802CN\
    5909Tea House6008Hangzhou63044323";

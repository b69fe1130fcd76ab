//! What is written is read.

use super::*;

#[test]
fn what_is_written_is_read_and_account_data_stands_apart() {
    let key = TerminalKey { hash: 1, moment: 2, fingerprint: 3 };
    let (acquirer, partner) = (LinkId(1), LinkId(2));
    let intent = Intent {
        id: 7,
        at_s: 1_700_000_000,
        acquirer,
        partner,
        stan: 42,
        key,
        amount: Some(100),
        head: b"head",
        tail: b"tail",
        pan: b"4111111111111111",
    };
    let outcome =
        Outcome { id: 7, approved: true, code: *b"00 ", approval: Some(*b"AUTH01"), part: None };
    let refused = Refused { id: 8, acquirer, key, code: *b"91 ", rule: b"" };
    let unwanted = Refused { id: 9, rule: b"a limit", ..refused };
    let owed =
        Owed { id: 7, partner, stan: 750_001, kind: Kind::Reversal, message: b"0420 with 4111" };
    let closed = Closed { id: 9, at_s: 5, ends_debt: true, by: b"rb", reason: b"settled" };
    let amount = Amount { minor: 1250, currency: Currency::from_number(156).expect("listed") };
    let stood_in = StoodIn {
        id: 7,
        at_s: 8,
        workers: 2,
        amount,
        card: u64::MAX,
        merchant: 1,
        route: b"kakaopay-home",
    };
    let written = [
        Record::Intent(intent),
        Record::Outcome(outcome),
        Record::Handed(7),
        Record::TakenBack(7),
        Record::Refused(refused),
        Record::Refused(unwanted),
        Record::Owed(owed),
        Record::Sent(7),
        Record::NotFound { id: 7, ran_s: 86_400 },
        Record::Done(7),
        Record::Exception(9, 30),
        Record::StoodIn(stood_in),
        Record::Closed(closed),
        Record::Weight(Weight { id: 10, of: 7, amount: 40, side: Side::Back }),
        Record::Weight(Weight { id: 11, of: 7, amount: 60, side: Side::Taken }),
        Record::Intent(Intent { amount: None, pan: b"", ..intent }),
    ];
    let mut records = Records { on: true, ..Records::default() };
    for record in &written {
        records.push(record);
    }
    let read_back: Vec<Record<'_>> = read(&records.clear, &records.secret).collect();
    assert_eq!(read_back, written);
    assert!(records.urgent, "an obligation is urgent");
    assert!(!records.clear.windows(4).any(|bytes| bytes == b"4111"));
    for cut in 0..records.clear.len() {
        let some: Vec<_> = read(&records.clear[..cut], &records.secret).collect();
        assert!(written.starts_with(&some), "a prefix, whatever is missing");
    }
}

#[test]
fn nothing_is_written_where_nothing_is_to_survive() {
    let mut records = Records::default();
    records.push(&Record::Handed(1));
    assert!(records.clear.is_empty());
}

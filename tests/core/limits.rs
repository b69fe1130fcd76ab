//! Rules on what is wanted, asked on the way: who hears what, and what is given back.

use std::sync::Arc;
use std::time::Duration;

use authswitch::base::authorization::Kind;
use authswitch::base::codes::ResponseCode;
use authswitch::base::ids::{Area, Region};
use authswitch::base::money::Currency;
use authswitch::risk::key::{Key, Part};
use authswitch::risk::rule::{Action, Rule, Scope, Test, Velocity};
use authswitch::risk::travel::Travel;
use authswitch::risk::{Memory, PAGE_BYTES, Plan, Rules};
use authswitch::routing::build::{self as routing, RoutePlan, build};
use authswitch::routing::merchants::{Groups, Merchant, MerchantRows, NetworkSet};
use authswitch::switch::record::{self, Record};
use authswitch::switch::{Counter, Event, Outbox};

use crate::rig::{ACQUIRER, BUDGET, HOST, PARTNER, POS, POS_2, Plain, Rig, answer_to, sale};

/// No more than `limit` of a card in five minutes, else 65.
fn limit(limit: u64, attempts: bool) -> Arc<Rules> {
    let key = Key::of(&[Part::Instrument]);
    let window = Duration::from_secs(300);
    let rule = Rule {
        name: "card".into(),
        scope: Scope::default(),
        test: Test::Velocity(Velocity { key, window, limit, sums: false, attempts }),
        action: Action::Decline,
        code: ResponseCode::from_number(65).expect("two digits"),
    };
    let plan = Plan { rules: vec![rule], secret: 5, ..Plan::default() };
    Arc::new(Rules::new(plan, Arc::new(Memory::new(PAGE_BYTES))).expect("one key"))
}

fn rig(rules: Arc<Rules>) -> Rig {
    Rig::with("pos-bcd", "pos-bcd", |setup| setup.rules = Some(rules))
}

/// At a merchant whose row says so much.
fn at(rules: Rules, region: &[u8; 2], mcc: u16) -> Rig {
    let merchant = Merchant {
        networks: NetworkSet::ALL,
        area: Area::from(Region(*region)),
        mcc,
        groups: Groups::default(),
    };
    let mut rows = MerchantRows::default();
    rows.add_prefix(b"", merchant).expect("a row");
    let area = Area::from(Region(*b"KR"));
    rows.add_prefix(b"ELSE", Merchant { area, ..merchant }).expect("a row");
    let route = RoutePlan {
        name: "only".into(),
        partners: vec![PARTNER],
        budget: BUDGET,
        ..RoutePlan::default()
    };
    let merchants = Some(rows.build().0);
    let plan = routing::Plan { version: 1, routes: vec![route], merchants, ..Default::default() };
    let routes = Arc::new(build(plan).expect("no contradiction"));
    Rig::with("pos-bcd", "pos-bcd", |setup| {
        (setup.rules, setup.routes) = (Some(Arc::new(rules)), routes);
    })
}

/// One rule without memory, or with.
fn one(scope: Scope, test: Test) -> Rules {
    let code = ResponseCode::from_number(94).expect("two digits");
    let rule = Rule { name: "one".into(), scope, test, action: Action::Decline, code };
    let plan = Plan { rules: vec![rule], secret: 5, ..Plan::default() };
    Rules::new(plan, Arc::new(Memory::new(PAGE_BYTES))).expect("one key")
}

fn codes(rig: &mut Rig) -> Vec<String> {
    rig.at_pos().iter().map(|told| told.code().to_owned()).collect()
}

/// True if the request reached the partner; what it says then is `code`.
fn goes(rig: &mut Rig, request: &Plain, code: &str) -> bool {
    rig.ask(POS, request);
    let Some(seen) = rig.at_host().pop() else { return false };
    rig.say(&answer_to(&seen, code));
    assert_eq!(codes(rig), [code]);
    true
}

#[test]
fn what_is_not_wanted_goes_nowhere_and_every_copy_hears_so() {
    let mut rig = rig(limit(1, false));
    assert!(goes(&mut rig, &sale(1), "00"));
    for (session, mti) in [(POS, "0200"), (POS, "0201"), (POS_2, "0200")] {
        rig.ask(session, &sale(2).typed(mti));
        assert!(rig.at_host().is_empty());
        let told = rig.at(session);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].code(), "65");
    }
    assert_eq!(rig.count(Counter::Unwanted), 1);
    assert!(goes(&mut rig, &sale(3).with(2, "4761340000000027"), "00"), "another card");
    // A copy of what passed is no second sale.
    rig.ask(POS, &sale(1).typed("0201"));
    assert_eq!(codes(&mut rig), ["00"]);
    rig.pass(Duration::from_secs(400));
    assert!(goes(&mut rig, &sale(4), "00"));
}

/// DE 32 is read where a rule counts by it.
#[test]
fn a_limit_may_be_for_each_acquirer() {
    let key = Key::of(&[Part::Acquirer]);
    let window = Duration::from_secs(300);
    let test = Test::Velocity(Velocity { key, window, limit: 1, sums: false, attempts: false });
    let mut rule = limit(1, false).rules()[0].clone();
    rule.test = test;
    let plan = Plan { rules: vec![rule], secret: 5, ..Plan::default() };
    let rules = Rules::new(plan, Arc::new(Memory::new(PAGE_BYTES))).expect("one key");
    let mut rig = rig(Arc::new(rules));
    assert!(goes(&mut rig, &sale(1).with(32, "12345"), "00"));
    assert!(goes(&mut rig, &sale(2).with(32, "12346"), "00"));
    rig.ask(POS, &sale(3).with(32, "12345"));
    assert_eq!(codes(&mut rig), ["65"]);
    assert!(goes(&mut rig, &sale(4), "00") && goes(&mut rig, &sale(5), "00"), "it names none");
}

#[test]
fn what_the_partner_declines_counts_only_as_an_attempt() {
    let mut sales = rig(limit(1, false));
    assert!(goes(&mut sales, &sale(1), "51"));
    assert!(goes(&mut sales, &sale(2), "00"));
    assert!(!goes(&mut sales, &sale(3), "00"));
    let mut attempts = rig(limit(2, true));
    assert!(goes(&mut attempts, &sale(1), "51"));
    assert!(goes(&mut attempts, &sale(2), "51"));
    assert!(!goes(&mut attempts, &sale(3), "00"));
}

#[test]
fn what_is_taken_back_or_not_answered_is_given_back() {
    let mut rig = rig(limit(1, true));
    assert!(goes(&mut rig, &sale(1), "00"));
    let reversal = sale(1)
        .typed("0400")
        .with(11, "005001")
        .with(90, &format!("0200{:06}1122021245{:022}", 1, 0));
    rig.ask(POS, &reversal);
    assert_eq!(codes(&mut rig), ["00"]);
    rig.at_host();
    rig.ask(POS, &sale(2));
    assert_eq!(rig.at_host().iter().filter(|seen| seen.mti == "0200").count(), 1);
    rig.wait(BUDGET);
    assert_eq!(codes(&mut rig), ["91"]);
    rig.at_host();
    assert!(goes(&mut rig, &sale(3), "00"));
    assert!(!goes(&mut rig, &sale(4), "00"));
}

#[test]
fn a_void_gives_back_when_it_is_approved_and_a_refund_never_does() {
    let undo = |stan: u32, kind: &str, of: u32| {
        let original = format!("0200{of:06}1122021245{:022}", 0);
        sale(stan).with(3, kind).with(90, &original)
    };
    let mut rig = rig(limit(1, false));
    assert!(goes(&mut rig, &sale(1), "00"));
    assert!(goes(&mut rig, &undo(2, "020000", 1), "05"), "the void is declined");
    assert!(!goes(&mut rig, &sale(3), "00"));
    codes(&mut rig);
    assert!(goes(&mut rig, &undo(4, "020000", 1), "00"));
    assert!(goes(&mut rig, &sale(5), "00"));
    assert!(goes(&mut rig, &undo(6, "200000", 5), "00"));
    assert!(!goes(&mut rig, &sale(7), "00"));
}

/// What was held was counted then; what only says that it completes is a sale.
#[test]
fn a_completion_counts_if_it_completes_nothing_that_is_known() {
    let completes = |stan: u32, of: u32| {
        let original = format!("0100{of:06}1122021245{:022}", 0);
        sale(stan).with(25, "06").with(90, &original)
    };
    let mut rig = rig(limit(1, false));
    assert!(goes(&mut rig, &sale(1).typed("0100").with(25, "06"), "00"));
    assert!(goes(&mut rig, &completes(2, 1), "00"));
    assert!(!goes(&mut rig, &completes(3, 99), "00"));
    assert_eq!(codes(&mut rig), ["65"]);
}

#[test]
fn other_rules_come_into_force_with_the_next_request() {
    let first = limit(1, false);
    let mut rig = rig(Arc::clone(&first));
    assert!(goes(&mut rig, &sale(1), "00"));
    assert!(!goes(&mut rig, &sale(2), "00"));
    codes(&mut rig);
    let mut second = Arc::into_inner(limit(2, false)).expect("nobody else has it");
    second.follow(&first);
    rig.feed(Event::Rules(Some(Arc::new(second))));
    assert!(goes(&mut rig, &sale(3), "00"));
    assert!(!goes(&mut rig, &sale(4), "00"), "they count on");
    codes(&mut rig);
    rig.feed(Event::Rules(None));
    assert!(goes(&mut rig, &sale(5), "00"));
}

/// DE 18 is what the terminal says; the row knows better.
#[test]
fn a_gate_without_de_18_is_a_gate() {
    let scanned = |stan| sale(stan).without(2).with(22, "031").with(35, "28804567890123456");
    let test = || {
        let (key, window) = (Key::of(&[Part::Instrument, Part::Terminal]), Duration::from_secs(2));
        Test::Velocity(Velocity { key, window, limit: 1, sums: false, attempts: false })
    };
    let gates = Scope {
        mccs: vec![(4111, 4112), (4131, 4131)],
        entry_modes: vec![(30, 39)],
        ..Scope::default()
    };
    for scope in [gates, Scope { kinds: vec![Kind::Fare], ..Scope::default() }] {
        let mut rig = at(one(scope, test()), b"CN", 4111);
        assert!(goes(&mut rig, &scanned(1).without(18), "00"));
        assert!(!goes(&mut rig, &scanned(2).without(18), "00"));
        assert_eq!(codes(&mut rig), ["94"]);
        assert!(!goes(&mut rig, &scanned(3).with(18, "5812"), "00"), "nor one that says other");
    }
    let held = Scope { kinds: vec![Kind::PreAuthorization], ..Scope::default() };
    let mut rig = at(one(held, Test::Always), b"CN", 7011);
    assert!(!goes(&mut rig, &sale(1).without(18).typed("0100"), "00"), "a hotel holds");
    assert_eq!(codes(&mut rig), ["94"]);
    assert!(goes(&mut rig, &sale(2).without(18), "00"), "this pays at once");
}

#[test]
fn an_amount_without_a_currency_is_one_of_the_region() {
    for (letters, goes_on) in [("CNY", false), ("KRW", true)] {
        let currencies = Currency::from_letters(letters).into_iter().collect();
        let scope = Scope { currencies, ..Scope::default() };
        let mut rig = at(one(scope, Test::Amount { min: 0, max: 900 }), b"CN", 5812);
        assert_eq!(goes(&mut rig, &sale(1).without(49), "00"), goes_on, "{letters}");
    }
}

/// Whoever counts every ten milliseconds has counted all that was.
#[test]
fn what_rules_did_is_told() {
    let rules = limit(1, false);
    let mut rig = rig(Arc::clone(&rules));
    assert!(goes(&mut rig, &sale(1), "00"));
    rig.ask(POS, &sale(2));
    let told =
        || rules.counted().map(|(_, counted)| [counted.looked, counted.acted]).collect::<Vec<_>>();
    rig.pass(Duration::from_millis(20));
    rig.feed(Event::Deadline);
    assert_eq!(told(), [[2, 1]]);
    rig.ask(POS, &sale(3));
    drop(rig);
    assert_eq!(told(), [[3, 2]], "nothing is lost with the worker");
}

#[test]
fn the_rule_that_declined_is_on_record() {
    let mut rig = Rig::closed("pos-bcd", "pos-bcd", |setup| setup.rules = Some(limit(0, false)));
    rig.outbox = Outbox::recorded(1);
    rig.open(POS, ACQUIRER);
    rig.open(HOST, PARTNER);
    rig.ask(POS, &sale(1));
    assert_eq!(codes(&mut rig), ["65"]);
    let batch = rig.outbox.seal().expect("a record");
    let records: Vec<_> = record::read(&batch.clear, &batch.secret).collect();
    let [Record::Refused(refused)] = records[..] else { panic!("{records:?}") };
    assert_eq!((&refused.code, refused.rule), (b"65 ", &b"card"[..]));
}

/// Where a card is, is where its merchant is; who pays over the network is nowhere.
#[test]
fn a_card_that_was_elsewhere_just_now_is_suspected() {
    let travel = Travel {
        key: Key::of(&[Part::Instrument]),
        usual: Duration::from_secs(300),
        between: Vec::new(),
        attempts: false,
    };
    let rules = one(Scope::default(), Test::Travel(travel));
    let mut rig = at(rules, b"CN", 5812);
    let there = |stan| sale(stan).with(42, "ELSEWHERE      ");
    assert!(goes(&mut rig, &sale(1), "00"));
    assert!(goes(&mut rig, &there(2).with(22, "812"), "00"), "a page");
    assert!(goes(&mut rig, &there(3).with(22, "012").with(25, "59"), "00"), "typed in on one");
    assert!(!goes(&mut rig, &there(4).with(22, "012"), "00"), "typed in at a counter");
    assert!(!goes(&mut rig, &there(5), "00"));
    assert_eq!(codes(&mut rig), ["94", "94"]);
    assert!(goes(&mut rig, &sale(6), "00"));
    rig.pass(Duration::from_secs(300));
    assert!(goes(&mut rig, &there(7), "51"), "declined by its partner: no place");
    assert!(goes(&mut rig, &sale(8), "00"));
}

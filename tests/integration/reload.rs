//! New routes while the process runs: on SIGHUP, and when files change.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::message::{Plain, answer_to, probe, sale};
use crate::rig::{Folder, Heard, Host, Line, PATIENCE, Serve, approve, ms, now, pause};

/// A folder with two partners; requests go to one of them.
struct Site {
    folder: Folder,
    config: String,
}

impl Site {
    fn new(name: &str, banks: [SocketAddr; 2], workers: usize) -> Self {
        let folder = Folder::new(name, &[("switch.toml", &switch(banks, workers))]);
        let config = folder.path("");
        let site = Self { folder, config };
        site.routes("one", "1500ms");
        site.merchants(1);
        site
    }

    fn start(&self) -> Serve {
        let mut serve = Serve::with(&["--config", &self.config]);
        serve.wait_for_line("connected");
        serve.wait_for_line("connected");
        serve
    }

    /// Renamed into place, so that no look at it sees half of it.
    fn write(&self, file: &str, text: &str) {
        let aside = self.folder.path("aside");
        fs::write(&aside, text).expect("a file");
        fs::rename(&aside, self.folder.path(file)).expect("a rename");
    }

    fn routes(&self, partner: &str, budget: &str) {
        self.write("routes.toml", &routes(partner, budget));
    }

    fn merchants(&self, count: usize) {
        let rows = (0..count).map(|shop| format!("SHOP{shop:011},CN,*,5411\n"));
        let rows: String = rows.collect();
        self.write("merchants.csv", &format!("merchant,region,networks,mcc\n*,CN,*,\n{rows}"));
    }
}

fn switch([one, two]: [SocketAddr; 2], workers: usize) -> String {
    let bank = |name: &str, address: SocketAddr| {
        format!(
            "[[partner]]\nname = \"{name}\"\nconnect = \"{address}\"\nsessions = 1\n\
             dialect = \"pos-bcd\"\nsign_on = false\necho_interval = \"0s\"\n"
        )
    };
    format!(
        "workers = {workers}\n[[acquirer]]\nname = \"pos\"\nlisten = \"127.0.0.1:0\"\n\
         dialect = \"pos-bcd\"\n{}{}",
        bank("one", one),
        bank("two", two)
    )
}

fn routes(partner: &str, budget: &str) -> String {
    format!(
        "[[network]]\nname = \"CARD\"\npans = [{{ prefix = \"4\", length = 16 }}]\n\
         [[route]]\nname = \"card-{partner}\"\nnetwork = \"CARD\"\nregion = \"*\"\n\
         partners = [\"{partner}\"]\nbudget = \"{budget}\"\n"
    )
}

/// A switch with both partners up, the test being both.
fn both(name: &str) -> (Site, Serve, Line, Line) {
    let (one, two) = (Host::new(), Host::new());
    let site = Site::new(name, [one.address, two.address], 1);
    let serve = site.start();
    (site, serve, one.accept(), two.accept())
}

/// Asks, and has `partner` approve.
#[track_caller]
fn approved(pos: &mut Line, partner: &mut Line) {
    let request = probe();
    pos.send(&request);
    let seen = partner.receive();
    partner.send(&answer_to(&seen, "00"));
    pos.receive().answers(&request, "00");
}

#[test]
fn routes_are_read_again_on_sighup_and_when_they_change() {
    let (site, mut serve, mut one, mut two) = both("reload-twice");
    let mut pos = serve.call();
    approved(&mut pos, &mut one);
    site.routes("two", "1500ms");
    serve.signal("HUP");
    let line = serve.wait_for_line("routes");
    assert!(line.contains("version 2 (") && line.contains("in force"), "{line}");
    approved(&mut pos, &mut two);
    site.routes("one", "1500ms");
    let line = serve.wait_for_line("routes");
    assert!(line.contains("version 3 (") && line.contains("in force"), "{line}");
    approved(&mut pos, &mut one);
    serve.signal("HUP");
    let line = serve.wait_for_line("routes");
    assert!(line.contains("version 3 (") && line.contains("say the same"), "{line}");
    approved(&mut pos, &mut one);
}

#[test]
fn a_file_that_is_being_written_is_not_read() {
    let (site, mut serve, mut one, mut two) = both("reload-slowly");
    let mut pos = serve.call();
    let text = routes("two", "1500ms");
    for end in (1..text.len()).step_by(16) {
        // In place, as an editor or a copy would.
        fs::write(site.folder.path("routes.toml"), &text[..end]).expect("a file");
        pause(ms(150));
    }
    approved(&mut pos, &mut one);
    fs::write(site.folder.path("routes.toml"), &text).expect("a file");
    let line = serve.wait_for_line("r");
    assert!(line.starts_with("routes") && line.contains("version 2 ("), "{line}");
    approved(&mut pos, &mut two);
}

#[test]
fn a_mistake_changes_nothing_and_is_told() {
    let (site, mut serve, mut one, mut two) = both("reload-mistake");
    let mut pos = serve.call();
    let text = routes("two", "1500ms").replace("\"CARD\"\nregion", "\"CART\"\nregion");
    site.write("routes.toml", &format!("{text}colour = \"blue\"\n"));
    serve.signal("HUP");
    let line = serve.wait_for_line("refused");
    assert!(line.contains("version 1 (") && line.contains("2 reasons"), "{line}");
    let line = serve.wait_for_line("refused");
    assert!(line.contains("routes.toml:6") && line.contains("CART"), "{line}");
    let line = serve.wait_for_line("refused");
    assert!(line.contains("routes.toml:10") && line.contains("colour"), "{line}");
    approved(&mut pos, &mut one);
    fs::remove_file(site.folder.path("merchants.csv")).expect("a file");
    site.routes("two", "1500ms");
    serve.signal("HUP");
    let line = serve.wait_for_line("refused");
    assert!(line.contains("1 reason"), "{line}");
    let line = serve.wait_for_line("refused");
    assert!(line.contains("merchants.csv"), "{line}");
    approved(&mut pos, &mut one);
    site.merchants(2);
    let line = serve.wait_for_line("routes");
    assert!(line.contains("version 2 ("), "{line}");
    approved(&mut pos, &mut two);
}

#[test]
fn what_needs_a_restart_is_said_and_nothing_is_half_applied() {
    let (site, mut serve, mut one, mut two) = both("reload-fixed");
    let mut pos = serve.call();
    let file = site.folder.path("switch.toml");
    let old = fs::read_to_string(&file).expect("a file");
    let new = old.replace("workers = 1", "workers = 2").replace("name = \"two\"", "name = \"new\"");
    site.write("switch.toml", &new);
    site.routes("new", "1500ms");
    serve.signal("HUP");
    let line = serve.wait_for_line("refused");
    assert!(line.contains("version 1 (") && line.contains("3 reasons"), "{line}");
    for expected in ["workers: 1 -> 2", "partner two is gone", "partner new is new"] {
        let line = serve.wait_for_line("refused");
        assert!(line.ends_with(&format!("needs a restart: {expected}")), "{line}");
    }
    approved(&mut pos, &mut one);
    // A remark in the file changes nothing.
    site.write("switch.toml", &format!("# as before\n{old}"));
    site.routes("two", "1500ms");
    let line = serve.wait_for_line("routes");
    assert!(line.contains("version 2 ("), "{line}");
    approved(&mut pos, &mut two);
}

#[test]
fn requests_in_flight_end_as_they_began() {
    let (site, mut serve, mut one, mut two) = both("reload-in-flight");
    let mut pos = serve.call();
    let (answered, given_up) = (sale(1), sale(2));
    pos.send(&answered);
    let seen = one.receive();
    pos.send(&given_up);
    let asked = now();
    let _ = one.receive();
    // The route they took is gone.
    site.routes("two", "300ms");
    serve.signal("HUP");
    serve.wait_for_line("routes");
    one.send(&answer_to(&seen, "00"));
    pos.receive().answers(&answered, "00");
    approved(&mut pos, &mut two);
    pos.receive().answers(&given_up, "91");
    assert!(asked.elapsed() >= ms(1400), "the deadline it was promised: {:?}", asked.elapsed());
    one.takes_reversals = false;
    let Heard::Message(reversal) = one.hear(PATIENCE) else { panic!("no reversal") };
    assert!(reversal.is_reversal(), "{reversal:?}");
}

/// Sells until told to stop; returns how often, and what was not approved.
fn shopper(mut line: Line, shop: usize, stop: &AtomicBool) -> (usize, Vec<Plain>) {
    let (mut count, mut wrong) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let request = probe().with(41, &format!("TERM{shop:04}"));
        let answer = line.ask(&request);
        count += 1;
        if answer.code() != "00" {
            wrong.push(answer);
        }
    }
    (count, wrong)
}

#[test]
fn nothing_is_lost_while_versions_change_under_traffic() {
    let (one, two) = (Host::new(), Host::new());
    let site = Site::new("reload-traffic", [one.address, two.address], 2);
    let mut serve = site.start();
    one.answer(approve);
    two.answer(approve);
    let stop = Arc::new(AtomicBool::new(false));
    let shoppers: Vec<_> = (0..6)
        .map(|shop| {
            let mut line = serve.call();
            let deadline = now() + PATIENCE;
            // A worker without a session of its own has to be lent one.
            while line.ask(&probe()).code() != "00" {
                assert!(now() < deadline, "no partner");
                pause(ms(10));
            }
            let stop = Arc::clone(&stop);
            thread::spawn(move || shopper(line, shop, &stop))
        })
        .collect();
    for version in 2..=VERSIONS {
        site.routes(if version % 2 == 0 { "two" } else { "one" }, &format!("{}ms", 1500 + version));
        site.merchants(1000 + version);
        serve.signal("HUP");
        let line = serve.wait_for_line("routes");
        assert!(line.contains("in force"), "{line}");
    }
    stop.store(true, Ordering::Relaxed);
    let (mut count, mut wrong) = (0, Vec::new());
    for shopper in shoppers {
        let (sold, refused) = shopper.join().expect("no answer is missing");
        count += sold;
        wrong.extend(refused);
    }
    assert!(wrong.is_empty(), "{} of {count}: {:?}", wrong.len(), wrong.first());
    assert!(count > VERSIONS, "{count} sales");
}

#[test]
fn memory_does_not_grow_with_versions() {
    let (one, two) = (Host::new(), Host::new());
    let site = Site::new("reload-memory", [one.address, two.address], 2);
    let mut serve = site.start();
    let mut reload = |times: usize| {
        for time in 0..times {
            site.merchants(ROWS + time % 2);
            serve.signal("HUP");
            let line = serve.wait_for_line("routes");
            assert!(line.contains("in force"), "{line}");
        }
        serve.memory()
    };
    let warm = reload(10);
    let after = reload(40);
    // A version that stayed would be as large as its rows.
    let version = 32 * ROWS as u64;
    assert!(after < warm + 10 * version, "{warm} bytes, then {after}");
}

const VERSIONS: usize = 30;

/// Some 640 kB a version.
const ROWS: usize = 20_000;

#[test]
fn a_list_that_rules_name_is_read_again_when_it_changes() {
    let (site, mut serve, mut one, _two) = both("reload-list");
    let mut pos = serve.call();
    site.write("stopped", "merchant NOBODY\n");
    let rule = "[[rule]]\nname = \"s\"\nlisted = { file = \"stopped\" }\n";
    site.write("risk.toml", rule);
    let line = serve.wait_for_line("routes");
    assert!(line.contains("version 2 (") && line.contains("in force"), "{line}");
    approved(&mut pos, &mut one);
    // All cards: nothing but the list itself says so.
    site.write("stopped", "prefix 4\n");
    let line = serve.wait_for_line("routes");
    assert!(line.contains("version 3 (") && line.contains("in force"), "{line}");
    let request = probe();
    pos.send(&request);
    pos.receive().answers(&request, "43");
    // Neither a list that is gone nor one of a damaged set changes that.
    fs::remove_file(site.folder.path("stopped")).expect("a file");
    serve.signal("HUP");
    let line = serve.wait_for_line("refused");
    assert!(line.contains("version 3 (") && line.contains("1 reason"), "{line}");
    let request = probe();
    pos.send(&request);
    pos.receive().answers(&request, "43");
}

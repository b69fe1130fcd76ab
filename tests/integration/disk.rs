//! Disks that fail, are slow, or full: what has no durable record is never acted upon.
//!
//! System calls are made to fail by strace, full disks are small file systems in memory. Where
//! one of them cannot be had, the test says so and tests nothing.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use crate::message::{Plain, answer_to, sale};
use crate::rig::{Folder, Heard, Host, Line, PATIENCE, Serve, kept, ms, now, switch};

/// A switch with a journal in a folder of its own, life after life.
struct Kept {
    host: Host,
    folder: Folder,
    journal: Folder,
}

impl Kept {
    fn new(name: &str, budget: &str) -> Self {
        let host = Host::new();
        let journal = Folder::new(&format!("{name}-kept"), &[]);
        let folder = kept(name, host.address, &journal.path("journal"), budget);
        Self { host, folder, journal }
    }

    /// A life in which system calls on the first segment go wrong as `inject` says.
    fn ailing(&self, inject: &str) -> (Serve, Line) {
        let mut command = Command::new("strace");
        // As a grandchild: what was started here is the switch itself.
        command.args(["-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null"]);
        command.args(["-P", &self.journal.path("journal/000000000001.segment")]);
        let call = inject.split(':').next().expect("a call");
        command.args(["-e", &format!("trace={call}"), "-e", &format!("inject={inject}")]);
        command.arg(env!("CARGO_BIN_EXE_authswitch")).args(["serve", "--config", &self.config()]);
        self.met(Serve::run(command, true))
    }

    fn sound(&self) -> (Serve, Line) {
        self.met(Serve::with(&["--config", &self.config()]))
    }

    fn config(&self) -> String {
        self.folder.0.to_str().expect("UTF-8").to_owned()
    }

    fn met(&self, mut serve: Serve) -> (Serve, Line) {
        let mut partner = self.host.accept();
        partner.takes_reversals = false;
        serve.wait_for_line("connected");
        (serve, partner)
    }
}

/// Can system calls be made to fail here? Says so if not.
fn strace_works() -> bool {
    let inject = ["-e", "trace=fsync", "-e", "inject=fsync:error=EIO", "true"];
    let probe = [&["-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null"], &inject[..]].concat();
    let mut command = Command::new("strace");
    command.args(probe).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let works = command.status().is_ok_and(|status| status.success());
    if !works {
        skipped("strace is not there or may not trace");
    }
    works
}

/// Past the test harness, which shows nothing of a test that passes.
fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

fn repeat(stan: u32) -> Plain {
    Plain { mti: "0201".into(), ..sale(stan) }
}

/// What a partner saw that approves all it is asked, and takes what is reversed.
fn approving(mut partner: Line) -> Receiver<Plain> {
    let (sender, seen) = channel();
    std::thread::spawn(move || {
        partner.answer(|request| {
            let _ = sender.send(request.clone());
            vec![answer_to(request, "00").with(38, "A1B2C3")]
        });
    });
    seen
}

/// Sells until there is no answer; how many were approved.
fn sell_until_it_ends(pos: &mut Line) -> u32 {
    for stan in 1..1_000 {
        pos.send(&sale(stan));
        match pos.hear(PATIENCE) {
            Heard::Message(answer) => answer.answers(&sale(stan), "00"),
            Heard::End => return stan - 1,
            Heard::Nothing => panic!("neither an answer nor the end"),
        }
    }
    panic!("it goes on");
}

/// One failed call, at each point of a sale: the switch ends and says why, and the next life has
/// every approval that was handed over.
fn fails_once(name: &str, call: &str, error: &str, doing: &str) {
    if !strace_works() {
        return;
    }
    for when in 4..8 {
        let lives = Kept::new(&format!("{name}-{when}"), "5s");
        let (mut serve, partner) = lives.ailing(&format!("{call}:error={error}:when={when}"));
        let seen = approving(partner);
        let approved = sell_until_it_ends(&mut serve.call());
        let said = serve.wait_for_line("FAILED");
        assert!(said.contains(doing) && said.contains("000000000001.segment"), "{said}");
        assert_eq!(serve.ends().code(), Some(74));
        let asked: Vec<Plain> = seen.iter().collect();
        assert!(asked.iter().all(|request| request.mti == "0200"), "{asked:?}");
        assert!(approved >= 1 && asked.len() as u32 <= approved + 1, "{approved} of {asked:?}");
        let (serve, mut partner) = lives.sound();
        let mut pos = serve.call();
        for stan in 1..=approved {
            pos.ask(&repeat(stan)).answers(&sale(stan), "00");
        }
        let last = sale(approved + 1);
        pos.send(&repeat(approved + 1));
        // What the partner was asked without an outcome is taken back, unless it is on the disk
        // after all; what it was not asked is not known, and asked now.
        let reversal = match partner.hear(ms(300)) {
            Heard::Message(message) => Some(message),
            _ => None,
        };
        if let Some(message) = &reversal {
            partner.send(&answer_to(message, "00"));
        }
        let answer = pos.receive();
        let was_asked = asked.len() as u32 > approved;
        match reversal.map(|message| message.mti) {
            None => answer.answers(&last, "00"),
            Some(mti) if mti == "0420" => answer.answers(&last, "91"),
            Some(mti) => assert!(!was_asked && mti == "0201", "{mti} after {asked:?}"),
        }
        partner.hears_nothing(ms(100));
    }
}

#[test]
fn a_sync_that_fails_once_ends_the_switch_and_loses_nothing() {
    fails_once("sync-fails", "fdatasync", "EIO", "sync a block");
}

#[test]
fn a_write_that_fails_once_ends_the_switch_and_loses_nothing() {
    fails_once("write-fails", "pwrite64", "ENOSPC", "write a block");
}

/// Both barriers wait for the disk: the request for its intent, the approval for its outcome.
#[test]
fn nothing_leaves_before_a_slow_disk_has_it() {
    if !strace_works() {
        return;
    }
    let lives = Kept::new("slow-sync", "5s");
    let (serve, mut partner) = lives.ailing("fdatasync:delay_enter=200000:when=1+");
    let mut pos = serve.call();
    let asked = now();
    pos.send(&sale(1));
    let seen = partner.receive();
    assert!(asked.elapsed() >= ms(200), "forwarded after {:?}", asked.elapsed());
    let answered = now();
    partner.send(&answer_to(&seen, "00"));
    pos.receive().answers(&sale(1), "00");
    assert!(answered.elapsed() >= ms(200), "approved after {:?}", answered.elapsed());
}

/// The answer is due although the disk is not done, and the request must not leave any more.
#[test]
fn what_the_disk_has_too_late_is_not_forwarded() {
    if !strace_works() {
        return;
    }
    let lives = Kept::new("late-sync", "300ms");
    let (serve, mut partner) = lives.ailing("fdatasync:delay_enter=700000:when=1+");
    let mut pos = serve.call();
    let asked = now();
    pos.send(&sale(1));
    pos.receive().answers(&sale(1), "91");
    assert!((ms(290)..ms(450)).contains(&asked.elapsed()), "{:?}", asked.elapsed());
    if let Heard::Message(seen) = partner.hear(ms(2_500)) {
        panic!("after its deadline the partner is asked {seen:?}");
    }
}

/// A file system in memory, unmounted when this is dropped.
struct Memory(Folder);

impl Memory {
    /// None, and says so, where it cannot be had.
    fn of(mib: u32, name: &str) -> Option<Self> {
        let folder = Folder::new(name, &[]);
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"]).arg(&folder.0);
        let mounted = command.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        if !mounted {
            skipped("a file system in memory cannot be mounted");
        }
        mounted.then_some(Self(folder))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // The process that used it may take a moment to let go.
        let _ = Command::new("umount").arg("-l").arg(&self.0.0).status();
    }
}

/// Sells 200 at a time until one is refused for want of a record; the numbers of those approved.
fn sell_until_full(pos: &mut Line, mut stan: u32) -> Vec<u32> {
    let mut approved = Vec::new();
    while approved.len() < 100_000 {
        let stans = stan..stan + 200;
        stan = stans.end;
        let frames: Vec<u8> = stans.clone().flat_map(|stan| pos.frame(&sale(stan))).collect();
        pos.send_bytes(&frames);
        let mut refused = false;
        for _ in stans {
            let answer = pos.receive();
            let number = answer.of(11).and_then(|stan| stan.parse().ok()).expect("a STAN");
            match answer.code() {
                "00" => approved.push(number),
                "96" => refused = true,
                other => panic!("{other}"),
            }
        }
        if refused {
            return approved;
        }
    }
    panic!("it is never full");
}

#[test]
fn a_full_disk_refuses_what_is_new_and_keeps_what_is_taken_back() {
    let host = Host::new();
    // Room for the reserve and two segments, and for a third if the ballast goes.
    let Some(memory) = Memory::of(14, "full-disk-memory") else { return };
    let ballast = memory.0.path("ballast");
    std::fs::write(&ballast, vec![1; 5 << 20]).expect("room");
    let folder = kept("full-disk", host.address, &memory.0.path("journal"), "5s");
    let config = folder.0.to_str().expect("UTF-8");
    let mut serve = Serve::with(&["--config", config]);
    let mut partner = host.accept();
    partner.takes_reversals = false;
    let seen = approving(partner);
    serve.wait_for_line("connected");
    let mut pos = serve.call();
    let approved = sell_until_full(&mut pos, 1);
    assert!(serve.wait_for_line("journal      worker").contains("disk full"));
    pos.ask(&sale(900_001)).answers(&sale(900_001), "96");
    // Asked again, what was answered is still known.
    pos.ask(&repeat(approved[0])).answers(&sale(approved[0]), "00");
    let taken_back = Plain { mti: "0400".into(), ..sale(approved[0]) };
    pos.ask(&taken_back).answers(&taken_back, "00");
    let next = || seen.recv_timeout(PATIENCE).expect("it is sent");
    let reversal = std::iter::repeat_with(next).find(|message| message.mti != "0200");
    assert_eq!(reversal.expect("endless").mti, "0420");
    std::fs::remove_file(&ballast).expect("it is there");
    assert!(serve.wait_for_line("journal      worker").contains("has room again"));
    pos.ask(&sale(900_002)).answers(&sale(900_002), "00");
    serve.signal("KILL");
    drop(serve);
    let mut serve = Serve::with(&["--config", config]);
    let _seen = approving(host.accept());
    serve.wait_for_line("connected");
    let mut pos = serve.call();
    pos.ask(&taken_back).answers(&taken_back, "00");
    pos.ask(&repeat(approved[0])).answers(&sale(approved[0]), "91");
    pos.ask(&repeat(approved[1])).answers(&sale(approved[1]), "00");
    pos.ask(&repeat(900_002)).answers(&sale(900_002), "00");
    let verified = switch(&["journal", "verify", &memory.0.path("journal")]).output();
    let verified = verified.expect("it starts");
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

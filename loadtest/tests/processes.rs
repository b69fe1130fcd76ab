//! The tool as its users run it: real processes on real sockets.
//!
//! Each test has its own partner and ports, so that they may run side by side. Runs are a
//! fraction of a second: what is asked here is whether mistakes are seen, not how fast it is.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};

struct Server {
    child: Child,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts a server that prints `... listening on ADDR` first.
    fn start(arguments: &[&str]) -> Server {
        let mut child =
            loadtest(arguments).stdout(Stdio::piped()).spawn().expect("the tool starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a server says where it listens");
        let address = line.trim().rsplit(' ').next().and_then(|word| word.parse().ok());
        let address = address.expect("the first line ends in an address");
        Server { child, address }
    }

    fn partner(arguments: &[&str]) -> Server {
        Server::start(&[&["partner", "--listen", "127.0.0.1:0"], arguments].concat())
    }

    fn floor(partner: &Server) -> Server {
        let partner = partner.address.to_string();
        Server::start(&["floor", "--acquirer", "127.0.0.1:0", "--partner", &partner])
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let target = self.address.to_string();
        let short = ["--warm-up", "50ms", "--duration", "200ms", "--timeout", "300ms"];
        loadtest(&[&["run", "--target", &target], &short[..], arguments].concat())
            .output()
            .expect("the tool runs")
    }
}

fn loadtest(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command.args(arguments);
    command
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn every_answer_comes_back_right_through_the_floor() {
    let partner = Server::partner(&["--decline", "10:51"]);
    let floor = Server::floor(&partner);
    let path = std::env::temp_dir().join(format!("loadtest-{}.json", std::process::id()));
    let json = path.to_str().unwrap();
    let closed = ["--closed", "--connections", "8", "--expect-decline", "10:51", "--json", json];
    let output = floor.run(&closed);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let report: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(report["sent"], report["answered"]);
    for mistake in ["lost", "wrong", "late", "unmatched", "duplicated", "unsent", "broken"] {
        assert_eq!(report[mistake], 0, "{mistake}");
    }
    let share = |code: &str| report["codes"][code].as_f64().unwrap_or(0.0);
    let declined = share("51") / (share("51") + share("00"));
    assert!((0.05..0.15).contains(&declined), "{declined}");
    assert!(report["latency_us"]["p99"].as_f64().unwrap() > 0.0);

    let open = ["--rate", "2000", "--expect-decline", "10:51", "--max-p99", "10m"];
    let output = floor.run(&open);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
}

#[test]
fn a_delayed_partner_is_measured_as_slow() {
    let partner = Server::partner(&["--latency", "uniform:2ms-3ms", "--no-tpdu"]);
    let run = ["--rate", "500", "--connections", "4", "--no-tpdu"];
    let output = partner.run(&run);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let output = partner.run(&[&run[..], &["--max-p99", "2ms"]].concat());
    assert_eq!(output.status.code(), Some(99));
    assert!(errors(&output).contains("above 2000.0 us"), "{}", errors(&output));
}

#[test]
fn planted_mistakes_are_caught() {
    for (flags, seen) in [
        // The floor finds nobody waiting under that number.
        (["--fault", "wrong-stan 1%"], "lost"),
        (["--fault", "wrong-rrn 1%"], "wrong"),
        (["--fault", "wrong-amount 1%"], "wrong"),
        (["--fault", "wrong-code 1%"], "wrong"),
        (["--decline", "1"], "wrong"),
        (["--silence", "1"], "lost"),
    ] {
        let partner = Server::partner(&flags);
        let floor = Server::floor(&partner);
        let output = floor.run(&["--rate", "3000", "--connections", "2"]);
        assert_eq!(output.status.code(), Some(99), "{flags:?}: {}", errors(&output));
        assert!(errors(&output).contains(seen), "{flags:?}: {}", errors(&output));
    }
    for (fault, seen) in [("duplicate 1%", "duplicated"), ("wrong-stan 1%", "unmatched")] {
        let partner = Server::partner(&["--fault", fault]);
        let output = partner.run(&["--rate", "3000"]);
        assert_eq!(output.status.code(), Some(99), "{fault}");
        assert!(errors(&output).contains(seen), "{fault}: {}", errors(&output));
    }
}

#[test]
fn the_floor_is_measured_against_nothing() {
    let arguments = ["--programs", "none,floor", "--shapes", "2x2", "--rates", "1000"];
    let short = ["--rounds", "1", "--seconds", "0.1", "--placement", "free"];
    let output = loadtest(&[&["run", "--vs-floor"], &arguments[..], &short].concat());
    let output = { output }.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("2x2") && table.contains("1000/s"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
}

/// Plays both sides around the floor, which reverses nothing, for a moment.
fn books(faults: &str, folder: &std::path::Path) -> Output {
    books_with(&["--seconds", "0.3", "--faults", faults], folder)
}

fn books_with(options: &[&str], folder: &std::path::Path) -> Output {
    let free = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("it is bound").to_string()
    };
    let (acquirer, partner, program) = (free(), free(), env!("CARGO_BIN_EXE_loadtest"));
    let serve = format!("{program} floor --acquirer {acquirer} --partner {partner} --leashed");
    let addresses = ["books", "--acquirer", &acquirer, "--partner", &partner, "--serve", &serve];
    let short = ["--deadline", "200ms", "--rest", "100ms"];
    let folder = ["--transcript-dir", folder.to_str().expect("plain characters")];
    loadtest(&[&addresses[..], &short, &folder, options].concat()).output().expect("the tool runs")
}

#[test]
fn books_agree_unless_the_host_is_silent() {
    let folder = std::env::temp_dir().join(format!("loadtest-books-{}", std::process::id()));
    let good = books("none", &folder);
    assert_eq!(good.status.code(), Some(0), "{}", errors(&good));
    for side in ["acquirer", "partner"] {
        let text = std::fs::read_to_string(folder.join(format!("{side}.ndjson"))).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON"));
        let lines: Vec<serde_json::Value> = lines.collect();
        assert!(lines.iter().all(|line| line["side"] == side), "{side}");
        let to_switch = lines.iter().filter(|line| line["direction"] == "to-switch").count();
        assert!(to_switch > 50, "{side}: {to_switch}");
    }
    // The floor does not decline in time and reverses nothing: the terminals' own reversals name
    // the wrong STAN, and the money stays where it is.
    let bad = books("silent:20", &folder);
    assert_eq!(bad.status.code(), Some(1), "{}", errors(&bad));
    let table = String::from_utf8(bad.stdout).unwrap();
    assert!(table.contains(": lost: host ") && table.contains("WrongOriginal"), "{table}");
    std::fs::remove_dir_all(&folder).unwrap();
}

/// The floor keeps nothing, so what was in flight when it was killed stays at the host.
#[test]
fn books_end_after_the_kills_that_were_asked_for_and_are_kept() {
    let folder = std::env::temp_dir().join(format!("loadtest-kills-{}", std::process::id()));
    let record = folder.join("records/kills");
    let record = ["--record", record.to_str().expect("plain characters")];
    let kills = ["--kill-every", "0.2", "--kills", "3", "--faults", "slow:100"];
    let then = ["--then", "wc -l {books}/partner.ndjson", "--then", "false"];
    let output = books_with(&[&kills[..], &record, &then].concat(), &folder);
    assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
    let mut kept = std::fs::read_dir(folder.join("records")).expect("it is there");
    let json = kept.find_map(|entry| {
        let path = entry.expect("a file").path();
        (path.extension()? == "json").then(|| std::fs::read_to_string(path).expect("text"))
    });
    let record: serde_json::Value = serde_json::from_str(&json.expect("a record")).unwrap();
    assert_eq!((&record["kills"], &record["passed"]), (&3.into(), &false.into()));
    assert!(record["lost"].as_u64() > Some(0));
    let codes = [0, 1].map(|place| record["checks"][place]["exit_code"].as_i64());
    assert_eq!(codes, [Some(0), Some(1)]);
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A disk that forgets, where there can be one; else the reason, and a code of its own.
#[test]
fn books_without_power_are_kept_or_skipped() {
    let folder = std::env::temp_dir().join(format!("loadtest-cuts-{}", std::process::id()));
    let cuts = ["--kill-every", "0.2", "--kills", "1", "--power-cut", "--faults", "none"];
    let output = books_with(&cuts, &folder);
    match output.status.code() {
        // The disk was there, and nobody uses it.
        Some(2) => assert!(errors(&output).contains("{disk} is not in --serve")),
        Some(77) => assert!(errors(&output).starts_with("loadtest: skipped: ")),
        other => panic!("{other:?}: {}", errors(&output)),
    }
    let output = books_with(&["--seconds", "0.1", "--then", "ls {disk}"], &folder);
    assert_eq!(output.status.code(), Some(2), "{}", errors(&output));
}

#[test]
fn bad_usage_is_said_in_words() {
    let code = |arguments: &[&str]| {
        let output = loadtest(arguments).output().unwrap();
        assert!(!errors(&output).contains("panicked"), "{}", errors(&output));
        assert!(!output.stderr.is_empty());
        output.status.code()
    };
    assert_eq!(code(&["run", "--target", "127.0.0.1:1"]), Some(2));
    assert_eq!(code(&["run", "--target", "nowhere", "--closed"]), Some(2));
    assert_eq!(code(&["run", "--vs-floor", "--switch", "/nonexistent"]), Some(2));
    assert_eq!(code(&["drain", "--switch", "/nonexistent"]), Some(2));
    assert_eq!(code(&["drain", "--durability", "none"]), Some(2));
    assert_eq!(code(&["restart", "--switch", "/nonexistent"]), Some(2));
    assert_eq!(code(&["partner", "--listen", "127.0.0.1:0", "--latency", "soon"]), Some(2));
    // Port 1 of the loopback is closed.
    assert_eq!(code(&["run", "--target", "127.0.0.1:1", "--closed"]), Some(1));
}

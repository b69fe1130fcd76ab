//! Load scenarios as users run them: real processes, real sockets, what is kept of a run.
//!
//! Runs are short and slow on purpose: what is asked is whether the tool tells the truth.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// A partner, ended with this.
struct Partner {
    child: Child,
    address: String,
}

impl Drop for Partner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Partner {
    fn start(flags: &[&str]) -> Partner {
        let mut command = loadtest(&["partner", "--listen", "127.0.0.1:0"]);
        let mut child = command.args(flags).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        let address = line.trim().rsplit(' ').next().expect("an address").to_owned();
        Partner { child, address }
    }
}

fn loadtest(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command.args(arguments);
    command
}

/// A folder of one test, removed with this.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("loadtest-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("plain characters").to_owned()
    }

    /// Writes a scenario; whatever the machine does meanwhile, it stays valid.
    fn scenario(&self, text: &str) -> String {
        let path = self.path("scenario.toml");
        let head = "title = \"A test\"\nmax_send_lag = \"30s\"\nconnections = 4\n";
        std::fs::write(&path, format!("{head}{text}")).expect("it is written");
        path
    }

    fn json(&self, name: &str) -> Value {
        let text = std::fs::read_to_string(self.path(name)).expect("it was kept");
        serde_json::from_str(&text).expect("it is JSON")
    }
}

fn run(partner: &Partner, scenario: &str, more: &[&str]) -> Output {
    let target = ["run", scenario, "--target", &partner.address];
    loadtest(&[&target[..], more].concat()).output().expect("the tool runs")
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const PHASES: &str = r#"
thresholds = ["errors == 0", "mix <= 15%", "answered > 100"]
[[traffic.network]]
name = "ALIPAY"
share = 79
code = "28"
digits = 17
[[traffic.network]]
name = "OTHER"
share = 21
card = "622424"
accounts = 100
zipf = 1.2
[[phase]]
shape = "warm-up"
rate = 200
for = "100ms"
[[phase]]
shape = "ramp"
rate = [200, 1000]
for = "200ms"
[[phase]]
shape = "steps"
rate = [400, 800]
for = "200ms"
"#;

#[test]
fn a_scenario_is_run_phase_by_phase_and_kept() {
    let folder = Folder::new("scenario");
    let partner = Partner::start(&[]);
    let scenario = folder.scenario(PHASES);
    let (json, hgrm) = (folder.path("a.json"), folder.path("a.hgrm"));
    let more = ["--json", &json, "--hgrm", &hgrm, "--note", "place=lab"];
    let output = run(&partner, &scenario, &more);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let table = String::from_utf8(output.stdout).expect("text");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    let report = folder.json("a.json");
    let phases = report["phases"].as_array().expect("phases");
    let names: Vec<&str> = phases.iter().filter_map(|phase| phase["name"].as_str()).collect();
    assert_eq!(names, ["warm-up", "ramp", "steps 400/s", "steps 800/s"]);
    // 20, 120, 80 and 160 are due, and each of them belongs to its phase.
    for (phase, due) in phases.iter().zip([20, 120, 80, 160_i64]) {
        let sent = phase["figures"]["sent"].as_i64().expect("a count");
        assert!((sent - due).abs() <= 1, "{phase}");
        assert_eq!(phase["figures"]["answered"], sent);
    }
    let groups = report["groups"].as_array().expect("groups");
    let sent: i64 = groups.iter().filter_map(|group| group["figures"]["sent"].as_i64()).sum();
    assert!((sent - 360).abs() <= 3 && groups.len() == 2, "{groups:?}");
    assert_eq!((&report["passed"], &report["environment"]["place"]), (&true.into(), &"lab".into()));
    let due: i64 = report["timeline"]
        .as_array()
        .expect("intervals")
        .iter()
        .filter_map(|point| point["due"].as_i64())
        .sum();
    assert_eq!(due, report["sent"].as_i64().expect("a count"));
    let percentiles = std::fs::read_to_string(&hgrm).expect("it was kept");
    assert!(percentiles.contains("1/(1-Percentile)") && percentiles.contains("#[Mean"));
}

#[test]
fn a_missed_threshold_is_99_and_may_end_the_run() {
    let folder = Folder::new("abort");
    let partner = Partner::start(&["--decline", "50"]);
    let text = r#"
        thresholds = [{ that = "wrong == 0", abort = true }]
        [[phase]]
        shape = "steady"
        rate = 500
        for = "20s"
    "#;
    let scenario = folder.scenario(text);
    let from = std::time::Duration::from_secs(10);
    let begun = start_of_test();
    let output = run(&partner, &scenario, &["--json", &folder.path("a.json")]);
    assert_eq!(output.status.code(), Some(99), "{}", errors(&output));
    assert!(errors(&output).contains("wrong"), "{}", errors(&output));
    assert!(begun.elapsed() < from, "it ended early");
    let report = folder.json("a.json");
    assert_eq!(report["end"], "ended early by a threshold");
    assert_eq!(report["findings"][0]["pass"], false);
}

/// A signal ends the sending; the report is of what was until then.
#[test]
fn an_interrupted_run_still_has_its_report() {
    let folder = Folder::new("interrupt");
    let partner = Partner::start(&[]);
    let text = "[[phase]]\nshape = \"steady\"\nrate = 500\nfor = \"30s\"\n";
    let scenario = folder.scenario(text);
    let json = folder.path("a.json");
    let target = ["run", &scenario, "--target", &partner.address, "--json", &json];
    let child = loadtest(&target).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.expect("it starts");
    std::process::Command::new("sleep").arg("1").status().expect("a second passes");
    let id = child.id().to_string();
    Command::new("kill").args(["-INT", &id]).status().expect("it is told");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
    let report = folder.json("a.json");
    assert_eq!(report["end"], "interrupted");
    assert_eq!(report["sent"], report["answered"]);
    let window_s = report["window_s"].as_f64().expect("seconds");
    assert!((0.1..20.0).contains(&window_s), "{window_s}");
}

/// Coordinated omission: a host stands still for 100 ms of each second. Nine of ten requests that
/// were to leave meanwhile wait for more than 10 ms: they are one in eleven, and in p99. A load
/// that waits for answers asks hardly anything meanwhile, and its p99 knows nothing.
#[test]
fn a_host_that_stands_still_is_seen_by_an_open_loop_and_not_by_a_closed_one() {
    let folder = Folder::new("omission");
    let partner = Partner::start(&["--freeze", "100ms/1s"]);
    let p99_us = |name: &str, flags: &[&str]| {
        let json = folder.path(name);
        let target = ["run", "--target", &partner.address, "--connections", "1"];
        let time = ["--warm-up", "0s", "--duration", "3s", "--json", &json];
        let output = loadtest(&[&target[..], &time, flags].concat()).output().expect("it runs");
        assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
        folder.json(name)["latency_us"]["p99"].as_f64().expect("a latency")
    };
    let open = p99_us("open.json", &["--rate", "1000"]);
    assert!((50_000.0..3_000_000.0).contains(&open), "{open}");
    let closed = p99_us("closed.json", &["--closed", "--in-flight", "1"]);
    assert!(closed < open / 3.0, "{closed} {open}");
}

#[test]
fn a_scenario_that_makes_no_sense_is_refused() {
    let folder = Folder::new("refused");
    let partner = Partner::start(&[]);
    let scenario = folder.scenario("colour = 1\n");
    let output = run(&partner, &scenario, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("colour"), "{}", errors(&output));
    let output = run(&partner, &scenario, &["--rate", "5"]);
    assert_eq!(output.status.code(), Some(2));
}

/// The page in a real browser: it draws, a cursor shows values, a click hides a line, and nothing
/// is wider than the window.
#[test]
fn the_page_works_in_a_browser() {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let is_there = |name: &&&str| Command::new(name).arg("--version").output().is_ok();
    let Some(browser) = names.iter().find(is_there) else {
        eprintln!("skipped: there is no chromium to open the page with");
        return;
    };
    let folder = Folder::new("page");
    let partner = Partner::start(&["--latency", "log-normal:1ms,0.5"]);
    let (json, html) = (folder.path("a.json"), folder.path("a.html"));
    let scenario = folder.scenario(PHASES);
    let output = run(&partner, &scenario, &["--json", &json, "--html", &html]);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let rebuilt = folder.path("b.html");
    let again = loadtest(&["report", &json, "--html", &rebuilt]).output().expect("it runs");
    assert_eq!(again.status.code(), Some(0), "{}", errors(&again));
    let compared = folder.path("c.html");
    let both = loadtest(&["compare", &json, &json, "--html", &compared]).output().expect("it runs");
    assert_eq!(both.status.code(), Some(0), "{}", errors(&both));

    for (page, width) in [("a.html", 1280), ("b.html", 420), ("c.html", 1280)] {
        let seen = open(browser, &folder, page, width);
        assert_eq!(seen["errors"], serde_json::json!([]), "{page} {width}: {seen}");
        assert!(seen["charts"].as_u64() >= Some(3), "{page} {width}: {seen}");
        assert_eq!(seen["drawn"], seen["charts"], "{page} {width}: {seen}");
        assert_eq!(seen["hidden"], true, "{page} {width}: {seen}");
        assert!(seen["wider"].as_i64() <= Some(0), "{page} {width}: {seen}");
        let shown = seen["hover"].as_str().expect("a legend");
        let is_time = |word: &str| shown.contains(word);
        assert!(is_time(" s") && (is_time("ms") || is_time("µs")), "{page}: {shown}");
    }
}

/// Opens a page of this width, and returns what a script saw that uses it as a person would.
fn open(browser: &str, folder: &Folder, page: &str, width: u32) -> Value {
    let text = std::fs::read_to_string(folder.path(page)).expect("it is there");
    let before = "<script>window.seen = []; onerror = (text) => { seen.push(text); };</script>";
    let text = text.replacen("<head>", &format!("<head>{before}"), 1).replace(
        "</body>",
        r#"<script>
        const charts = window.loadtestCharts || [];
        const first = charts[0] && charts[0].plot;
        let hover = "", hidden = false;
        if (first) {
            const x = first.data[0];
            const place = first.data[1].findIndex((value) => value !== null && value > 0);
            first.setCursor({ left: first.valToPos(x[place], "x"), top: 40 });
            hover = charts[0].box.querySelector(".u-legend").innerText;
            charts[0].box.querySelectorAll(".u-series th")[1].click();
            hidden = first.series[1].show === false;
        }
        const drawn = charts.filter(({ box }) => {
            const canvas = box.querySelector("canvas");
            const { width, height } = canvas;
            const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
            return data.some((value) => value > 0);
        }).length;
        const wider = document.documentElement.scrollWidth - innerWidth;
        const found = { errors: window.seen, charts: charts.length, drawn, hover, hidden, wider };
        document.body.replaceChildren(JSON.stringify(found));
        </script></body>"#,
    );
    let path = folder.path("open.html");
    std::fs::write(&path, text).expect("it is written");
    let profile = format!("--user-data-dir={}", folder.path("profile"));
    let size = format!("--window-size={width},900");
    let flags = ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", &profile, &size];
    let output = Command::new(browser).args(flags).arg(format!("file://{path}")).output();
    let output = String::from_utf8(output.expect("it opens").stdout).expect("text");
    let body = output.split("<body>").nth(1).and_then(|rest| rest.split("</body>").next());
    let body = body.unwrap_or_default().replace("&lt;", "<").replace("&amp;", "&");
    serde_json::from_str(body.trim()).unwrap_or_else(|error| panic!("{error}: {output}"))
}

#[expect(clippy::disallowed_methods, reason = "a test may look at the clock")]
fn start_of_test() -> std::time::Instant {
    std::time::Instant::now()
}

//! A load scenario as its file writes it, and the course that follows from it.
//!
//! Keys that nobody knows are refused. Flags of the command line make the same sheet, so that there
//! is one way to run load and one form of its result.

use std::fs;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::stage::{Host, Stage};
use super::threshold::Threshold;
use crate::failure::Failure;
use crate::fate::{Decline, Fate, Share};
use crate::frame::Form;
use crate::mix::Traffic;
use crate::partner::duration_ns;
use crate::run::{ALSO_MAX, Arrivals, Cause, Course, Phase, Shape, Terms};

/// What is to be run, and what must come of it.
#[derive(Clone, Debug)]
pub(crate) struct Sheet {
    pub(crate) title: String,
    /// Its number among the corridors.
    pub(crate) row: Option<u64>,
    pub(crate) course: Course,
    pub(crate) thresholds: Vec<Threshold>,
    /// The run proves nothing if p99 of the generator's own lag is above this.
    pub(crate) lag_max: Option<Duration>,
    /// A switch with partners to start first.
    pub(crate) stage: Option<Stage>,
}

/// Reads a file; the target of the command line goes before that of the file.
pub(crate) fn read(path: &Path, target: Option<SocketAddr>) -> Result<Sheet, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
    let wrong = |text: String| Failure::Usage(format!("{}: {}", path.display(), text.trim_end()));
    let file: File = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    file.sheet(target).map_err(wrong)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title: String,
    row: Option<u64>,
    /// What a reader should know about it; nothing follows from it.
    #[serde(rename = "shows")]
    _shows: Option<String>,
    target: Option<String>,
    #[serde(default = "connections")]
    connections: usize,
    /// A closed loop with so many requests under way on each connection.
    in_flight: Option<usize>,
    #[serde(default)]
    arrivals: Arrivals,
    #[serde(default = "seed")]
    seed: u64,
    messages: Option<u64>,
    timeout: Option<String>,
    #[serde(default = "yes")]
    tpdu: bool,
    /// Codes in DE 39 that are right; the first is what is expected.
    #[serde(default)]
    expect: Vec<String>,
    /// The partner's --decline: its answers are then required to be exactly these.
    expect_decline: Option<String>,
    #[serde(default)]
    thresholds: Vec<Asked>,
    max_send_lag: Option<String>,
    interval: Option<String>,
    #[serde(default)]
    traffic: Traffic,
    #[serde(rename = "phase")]
    phases: Vec<Stretch>,
    #[serde(rename = "switch")]
    stage: Option<Stage>,
    #[serde(default, rename = "partner")]
    hosts: Vec<Host>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stretch {
    name: Option<String>,
    shape: Shape,
    rate: Option<Rate>,
    #[serde(rename = "for")]
    length: String,
    #[serde(default)]
    thresholds: Vec<Asked>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Rate {
    One(f64),
    Many(Vec<f64>),
}

/// A threshold, or one that ends the run as soon as it is missed.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Asked {
    Plain(String),
    Table { that: String, abort: bool },
}

impl File {
    fn sheet(mut self, target: Option<SocketAddr>) -> Result<Sheet, String> {
        match &mut self.stage {
            Some(stage) => {
                stage.hosts.append(&mut self.hosts);
                stage.check()?;
            }
            None if self.hosts.is_empty() => {}
            None => return Err("a [[partner]] is one of a [switch]".into()),
        }
        let target = match (target, &self.target) {
            (Some(target), _) => target,
            (None, Some(text)) => address(text)?,
            // The stage says where its switch listens.
            (None, None) if self.stage.is_some() => SocketAddr::from(([127, 0, 0, 1], 0)),
            (None, None) => return Err("target is missing; or name it with --target".into()),
        };
        if self.connections == 0 || self.connections > 60_000 {
            return Err("connections are 1 to 60000".into());
        }
        let phases = self.phases()?;
        let mut thresholds = thresholds(&self.thresholds, None)?;
        for stretch in &self.phases {
            let name = stretch.name();
            thresholds.extend(thresholds_of(stretch, &name)?);
        }
        if thresholds.is_empty() {
            thresholds = Threshold::no_mistakes();
        }
        for threshold in &thresholds {
            threshold.check(&phases)?;
        }
        let cause = match self.in_flight {
            Some(in_flight) => Cause::Answers { in_flight },
            None => Cause::Schedule { arrivals: self.arrivals, seed: self.seed },
        };
        let course = Course {
            target,
            connections: self.connections,
            terms: self.terms()?,
            cause,
            interval: Some(match &self.interval {
                Some(text) => time(text)?.max(Duration::from_millis(10)),
                None => interval(phases.iter().map(|phase| phase.length).sum()),
            }),
            phases,
            messages: self.messages,
            traffic: Some((self.traffic.checked()?, self.seed)),
        };
        let lag_max = match &self.max_send_lag {
            Some(text) => time(text)?,
            None => LAG_MAX,
        };
        let lag_max = Some(lag_max);
        Ok(Sheet {
            title: self.title,
            row: self.row,
            course,
            thresholds,
            lag_max,
            stage: self.stage,
        })
    }

    fn phases(&self) -> Result<Vec<Phase>, String> {
        let mut phases: Vec<Phase> = Vec::new();
        for stretch in &self.phases {
            let length = time(&stretch.length)?;
            if length.is_zero() {
                return Err(format!("phase {}: it lasts no time", stretch.name()));
            }
            for (name, rate) in stretch.rates(self.in_flight.is_some())? {
                if phases.iter().any(|phase| phase.name == name) {
                    return Err(format!("two phases are called {name}; give them names"));
                }
                phases.push(Phase { name, shape: stretch.shape, length, rate });
            }
        }
        if phases.iter().any(Phase::is_measured) {
            Ok(phases)
        } else {
            Err("no phase but warm-up".into())
        }
    }

    fn terms(&self) -> Result<Terms, String> {
        let form = if self.tpdu { Form::Tpdu } else { Form::Bare };
        let timeout = self.timeout.as_deref().map_or(Ok(Duration::from_secs(5)), time)?;
        let mut decline = Decline::default();
        if let Some(text) = &self.expect_decline {
            decline = text.parse()?;
        }
        let mut codes = Vec::new();
        for text in &self.expect {
            let code = <[u8; 2]>::try_from(text.as_bytes());
            codes.push(code.map_err(|_| format!("{text:?} is no code of DE 39"))?);
        }
        if let Some(code) = codes.first().filter(|code| **code != *b"00") {
            decline = Decline { share: Share::ALL, code: *code };
        }
        let fate = Fate { decline, silence: Share::default() };
        let mut terms = Terms::new(form, fate, timeout.as_nanos() as u64);
        if codes.len() > ALSO_MAX {
            return Err(format!("{ALSO_MAX} codes may be expected"));
        }
        terms.also[..codes.len()].copy_from_slice(&codes);
        Ok(terms)
    }
}

/// A phase by its name, with its rates at its beginning and its end.
type Named = (String, (f64, f64));

impl Stretch {
    fn name(&self) -> String {
        let shape = match self.shape {
            Shape::WarmUp => "warm-up",
            Shape::Ramp => "ramp",
            Shape::Steps => "steps",
            Shape::Steady => "steady",
            Shape::Spike => "spike",
            Shape::Soak => "soak",
        };
        self.name.clone().unwrap_or_else(|| shape.to_owned())
    }

    /// The rates at the beginning and the end of each phase it stands for, with the phase's name.
    fn rates(&self, closed: bool) -> Result<Vec<Named>, String> {
        let name = self.name();
        let wrong = |text: &str| Err(format!("phase {name}: {text}"));
        let rates = match (&self.rate, self.shape) {
            (None, _) if closed => vec![(name.clone(), (0.0, 0.0))],
            (Some(_), _) if closed => return wrong("a closed loop has no rate"),
            (Some(Rate::Many(rates)), Shape::Ramp) if rates.len() == 2 => {
                vec![(name.clone(), (rates[0], rates[1]))]
            }
            (_, Shape::Ramp) => return wrong("a ramp has two rates, as in [100, 2000]"),
            (Some(Rate::Many(rates)), Shape::Steps) if !rates.is_empty() => {
                let step = |rate: &f64| (format!("{name} {rate}/s"), (*rate, *rate));
                rates.iter().map(step).collect()
            }
            (_, Shape::Steps) => return wrong("steps have rates, as in [100, 200, 400]"),
            (Some(Rate::One(rate)), _) => vec![(name.clone(), (*rate, *rate))],
            _ => return wrong("rate is one number"),
        };
        let right = |rate: f64| (0.0..=1e8).contains(&rate);
        if rates.iter().any(|(_, (from, to))| !right(*from) || !right(*to)) {
            return wrong("a rate is 0 to 100000000 a second");
        }
        Ok(rates)
    }
}

fn thresholds_of(stretch: &Stretch, name: &str) -> Result<Vec<Threshold>, String> {
    thresholds(&stretch.thresholds, Some(name))
}

fn thresholds(asked: &[Asked], phase: Option<&str>) -> Result<Vec<Threshold>, String> {
    let one = |asked: &Asked| {
        let (text, abort) = match asked {
            Asked::Plain(text) => (text, false),
            Asked::Table { that, abort } => (that, *abort),
        };
        Threshold::read(text, phase, abort)
    };
    asked.iter().map(one).collect()
}

fn time(text: &str) -> Result<Duration, String> {
    duration_ns(text).map(Duration::from_nanos)
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let mut addresses = text.to_socket_addrs().map_err(|error| format!("{text}: {error}"))?;
    addresses.next().ok_or_else(|| format!("{text}: no address"))
}

/// A few hundred intervals, of a length that people count in.
pub(crate) fn interval(length: Duration) -> Duration {
    let least_ms = length.as_millis() as u64 / INTERVALS;
    let fits = |ms: &&u64| **ms >= least_ms;
    let ms = INTERVALS_MS.iter().find(fits).unwrap_or(&INTERVALS_MS[INTERVALS_MS.len() - 1]);
    Duration::from_millis(*ms)
}

fn connections() -> usize {
    64
}

fn seed() -> u64 {
    1
}

fn yes() -> bool {
    true
}

const INTERVALS: u64 = 600;
const INTERVALS_MS: [u64; 8] = [50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];
/// A generator that is later than this measures itself.
const LAG_MAX: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(text: &str) -> Result<Sheet, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        file.sheet(None)
    }

    const HEAD: &str = "title = 'A'\ntarget = '127.0.0.1:1'\n";

    #[test]
    fn phases_are_laid_one_after_the_other() {
        let text = r#"
            thresholds = ["errors == 0", { that = "lost < 5", abort = true }]
            expect = ["00", "91"]
            [[phase]]
            shape = "warm-up"
            rate = 10
            for = "1s"
            [[phase]]
            shape = "ramp"
            rate = [10, 100]
            for = "2s"
            [[phase]]
            shape = "steps"
            rate = [100, 200]
            for = "500ms"
            thresholds = ["p99 < 2ms"]
        "#;
        let sheet = sheet(&format!("{HEAD}{text}")).unwrap();
        let phases = &sheet.course.phases;
        let names: Vec<&str> = phases.iter().map(|phase| phase.name.as_str()).collect();
        assert_eq!(names, ["warm-up", "ramp", "steps 100/s", "steps 200/s"]);
        assert_eq!((phases[1].rate, phases[3].rate), ((10.0, 100.0), (200.0, 200.0)));
        assert_eq!(sheet.course.length(), Duration::from_secs(4));
        assert_eq!(sheet.course.interval, Some(Duration::from_millis(50)));
        assert_eq!(sheet.course.terms.also[..3], [*b"00", *b"91", [0; 2]]);
        assert_eq!(sheet.thresholds.len(), 3);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let steady = "[[phase]]\nshape = 'steady'\nrate = 5\nfor = '1s'\n";
        for (text, words) in [
            ("", "missing field `phase`"),
            ("colour = 1\n[[phase]]\nshape = 'steady'\nrate = 5\nfor = '1s'", "colour"),
            ("[[phase]]\nshape = 'warm-up'\nrate = 5\nfor = '1s'", "no phase but warm-up"),
            ("[[phase]]\nshape = 'steady'\nfor = '1s'", "one number"),
            ("[[phase]]\nshape = 'steady'\nrate = -1\nfor = '1s'", "0 to 100000000"),
            ("[[phase]]\nshape = 'ramp'\nrate = 5\nfor = '1s'", "two rates"),
            ("[[phase]]\nshape = 'steady'\nrate = 5\nfor = '1'", "not a duration"),
            ("[[phase]]\nshape = 'steady'\nrate = 5\nfor = '0s'", "no time"),
            (&format!("{steady}{steady}"), "two phases"),
            (&format!("in_flight = 4\n{steady}"), "no rate"),
            (&format!("expect = ['0']\n{steady}"), "no code"),
            (&format!("thresholds = ['p99 < fast']\n{steady}"), "fast"),
            (&format!("thresholds = ['spike: p99 < 1ms']\n{steady}"), "no phase"),
        ] {
            let error = sheet(&format!("{HEAD}{text}")).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
        assert!(sheet("title = 'A'\n[[phase]]\nshape = 'steady'\nrate = 5\nfor = '1s'").is_err());
    }

    #[test]
    fn a_long_run_has_long_intervals() {
        let of = |s| interval(Duration::from_secs(s)).as_millis();
        assert_eq!(
            [of(1), of(60), of(600), of(3_600), of(1 << 30)],
            [50, 100, 1_000, 10_000, 10_000]
        );
    }
}

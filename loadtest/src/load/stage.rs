//! What a scenario starts before it sends: the real switch on the default configuration with some
//! changes, and a simulated partner behind each of the links it names.
//!
//! So one command is a whole experiment, on free ports of the loopback. Who measures a switch that
//! runs elsewhere leaves this out and names a target.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::thread::CpuSet;
use serde::Deserialize;

use crate::child::{Running, affinity, exchange, free_address};
use crate::clock::{NS_PER_S, now_ns, pause};
use crate::failure::Failure;
use crate::frame::Form;
use crate::message::{Fleet, Requests};
use crate::partner::{Fault, Latency};
use crate::run::Course;
use crate::script::{Change, Edit, Site, Zero};
use crate::serve::{self, Durability};

/// A switch and its partners.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stage {
    /// Links of the default configuration behind which there is somebody; all speak packed BCD.
    #[serde(default)]
    partners: Vec<String>,
    /// Those that are told about one by one.
    #[serde(skip)]
    pub(super) hosts: Vec<Host>,
    /// How they behave: flags of `loadtest partner`.
    #[serde(default)]
    partner: Vec<String>,
    #[serde(default = "none")]
    durability: Durability,
    #[serde(default = "one")]
    workers: usize,
    #[serde(default)]
    change: Vec<Written>,
}

/// A partner that is unlike the others.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Host {
    name: String,
    latency: Option<String>,
    /// Its faults; their time begins when the switch and its partners are ready.
    #[serde(default)]
    faults: Vec<String>,
}

impl Host {
    /// Its flags of `loadtest partner`, or what is wrong with them.
    fn flags(&self) -> Result<Vec<&str>, String> {
        let of = |text: String| format!("partner {}: {text}", self.name);
        let mut flags = vec!["--faults-on-hangup"];
        if let Some(latency) = &self.latency {
            latency.parse::<Latency>().map_err(of)?;
            flags.extend(["--latency", latency]);
        }
        for fault in &self.faults {
            fault.parse::<Fault>().map_err(of)?;
            flags.extend(["--fault", fault]);
        }
        Ok(flags)
    }
}

/// A change of a file, as the file says it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    file: String,
    append: Option<String>,
    replace: Option<String>,
    with: Option<String>,
}

/// Everything that was started; it ends with this.
pub(crate) struct Set {
    /// Where the switch listens.
    pub(crate) target: SocketAddr,
    pub(crate) switch: Running,
    pub(crate) durability: &'static str,
    _partners: Vec<Started>,
    _site: Site,
}

/// A partner, and whether it waits for a signal to suffer.
type Started = (Running, bool);

impl Stage {
    /// What is wrong with it before anything is started.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.partners.is_empty() && self.hosts.is_empty() {
            return Err("a [switch] has partners, or [[partner]] tables".into());
        }
        self.hosts.iter().try_for_each(|host| host.flags().map(drop))
    }

    /// Starts everything, and returns once the traffic of the course is answered.
    pub(crate) fn start(&self, program: Option<&Path>, course: &Course) -> Result<Set, Failure> {
        let program = serve::program(program)?;
        let of = |text: String| Failure::Run(format!("the switch of the scenario: {text}"));
        let mut site = Site::new(&self.changes()?, Zero::next()).map_err(of)?;
        let (target, cores) = (free_address()?, affinity()?);
        site.place(ACQUIRER, target);
        let partners = self.start_partners(&mut site, &cores)?;
        site.write().map_err(of)?;
        let mut command = Command::new(program);
        command.arg("serve").arg("--config").arg(site.folder());
        command.args(["--workers", &self.workers.to_string()]);
        command.args(["--durability", self.durability.name()]);
        if self.durability != Durability::None {
            command.arg("--journal").arg(site.folder().join("journal"));
        }
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut switch = Running::spawn("switch", command, &cores, target)?;
        await_answers(&mut switch, course)?;
        for (partner, suffers) in &partners {
            if *suffers {
                partner.hang_up()?;
            }
        }
        let durability = self.durability.name();
        Ok(Set { target, switch, durability, _partners: partners, _site: site })
    }

    /// A simulated partner behind each link that is named; nobody is behind the others.
    fn start_partners(&self, site: &mut Site, cores: &CpuSet) -> Result<Vec<Started>, Failure> {
        let of = |text: String| Failure::Run(format!("the switch of the scenario: {text}"));
        let peers = site.peers().map_err(of)?;
        let named = self.partners.iter().chain(self.hosts.iter().map(|host| &host.name));
        for name in named {
            if !peers.iter().any(|peer| peer.is_partner && peer.name == *name) {
                return Err(Failure::Usage(format!("no partner of the switch is called {name}")));
            }
        }
        let mut partners = Vec::new();
        for name in peers.iter().filter(|peer| peer.is_partner).map(|peer| &peer.name) {
            let address = free_address()?;
            site.place(name, address);
            let mut flags: Vec<&str> = self.partner.iter().map(String::as_str).collect();
            match self.hosts.iter().find(|host| host.name == *name) {
                Some(host) => flags = host.flags().map_err(Failure::Usage)?,
                None if self.partners.contains(name) => {}
                None => continue,
            }
            let mut command = serve::partner(Form::Bare, address, &flags)?;
            command.stdout(Stdio::piped());
            let mut partner = Running::spawn("partner", command, cores, address)?;
            let mut line = String::new();
            if let Some(stdout) = partner.stdout() {
                // What is not there is found missing below.
                let _ = BufReader::new(stdout).read_line(&mut line);
            }
            if line.is_empty() {
                return Err(of(format!("its partner {name} did not start")));
            }
            let suffers = |host: &Host| host.name == *name && !host.faults.is_empty();
            partners.push((partner, self.hosts.iter().any(suffers)));
        }
        Ok(partners)
    }

    fn changes(&self) -> Result<Vec<Change>, Failure> {
        let change = |written: &Written| {
            let Written { file, append, replace, with } = written.clone();
            let edit = match (append, replace, with) {
                (Some(text), None, None) => Edit::Append(text),
                (None, Some(old), Some(new)) => Edit::Replace(old, new),
                _ => {
                    let text = format!("a change of {file} has append, or replace and with");
                    return Err(Failure::Usage(text));
                }
            };
            Ok(Change { file, edit, line: 0 })
        };
        self.change.iter().map(change).collect()
    }
}

/// Asks until so many requests in a row are answered as they should be: then the switch is there,
/// and so are its partners.
fn await_answers(switch: &mut Running, course: &Course) -> Result<(), Failure> {
    let deadline_ns = now_ns() + READY_WITHIN_S * NS_PER_S;
    let form = course.terms.form;
    let mut requests = match &course.traffic {
        Some((traffic, seed)) => Requests::mixed(form, traffic, seed ^ PROBES),
        None => Requests::new(form),
    };
    let mut last = String::from("nothing");
    let (mut stan, mut right) = (0, 0);
    while right < READY_AFTER {
        stan += 1;
        let asked = ask(switch.address, form, &mut requests, stan);
        let is_right =
            matches!(&asked, Ok((code, rrn)) if course.terms.expects(*code, rrn.as_slice()));
        right = if is_right { right + 1 } else { 0 };
        if !is_right {
            last = match asked {
                Ok((code, _)) => format!("DE 39 = {}", code.escape_ascii()),
                Err(error) => error.to_string(),
            };
            pause(READY_EVERY);
        }
        if let Some(status) = switch.ended() {
            return Err(Failure::Run(format!("the switch ended before it was ready: {status}")));
        }
        if now_ns() > deadline_ns {
            let text = format!("the switch was not ready in {READY_WITHIN_S} s: {last}");
            return Err(Failure::Run(text));
        }
    }
    Ok(())
}

/// One request over a connection of its own: DE 39 of its answer, and DE 37.
fn ask(
    target: SocketAddr,
    form: Form,
    requests: &mut Requests,
    stan: u32,
) -> std::io::Result<([u8; 2], [u8; 12])> {
    let mut request = Vec::new();
    let asked = requests.append(&mut request, stan, Fleet::of(0));
    Ok((exchange(target, form, &request)?, asked.rrn))
}

fn none() -> Durability {
    Durability::None
}

fn one() -> usize {
    1
}

/// The listener of the default configuration.
const ACQUIRER: &str = "pos";
const READY_WITHIN_S: u64 = 20;
const READY_AFTER: u32 = 32;
const READY_EVERY: Duration = Duration::from_millis(20);
/// What is asked beforehand is other traffic than that of the run.
const PROBES: u64 = 0x5052_4F42_4553;

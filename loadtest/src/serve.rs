//! The switch under measurement and the partner behind it: how they are started, and what a switch
//! says whose partner is silent.
//!
//! The switch is found beside this program unless it is named, so that both come of one build.
//! Nothing is known of it but its command line.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::child::{Running, ask};
use crate::clock::{now_ns, pause};
use crate::failure::Failure;
use crate::fate::{Decline, Fate, Share};
use crate::frame::Form;

/// What of the switch's state survives what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Durability {
    /// Nothing: there is no journal.
    None,
    /// A crash.
    Process,
    /// A power cut.
    Power,
}

impl Durability {
    /// As the switch has it on its command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Durability::None => "none",
            Durability::Process => "process",
            Durability::Power => "power",
        }
    }
}

/// A switch between one acquirer and one partner.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Serve<'s> {
    pub(crate) program: Option<&'s Path>,
    pub(crate) form: Form,
    pub(crate) durability: Durability,
    /// Its folder, where something survives.
    pub(crate) journal: Option<&'s Path>,
    pub(crate) workers: Option<usize>,
    pub(crate) deadline: Duration,
}

impl Serve<'_> {
    /// The command that starts it.
    pub(crate) fn command(&self) -> Result<Command, Failure> {
        let mut command = Command::new(program(self.program)?);
        command.args(["serve", "--dialect", dialect(self.form)]);
        command.args(["--deadline", &format!("{}ms", self.deadline.as_millis())]);
        command.args(["--durability", self.durability.name()]);
        if let Some(journal) = self.journal {
            command.arg("--journal").arg(journal);
        }
        if let Some(workers) = self.workers {
            command.args(["--workers", &workers.to_string()]);
        }
        Ok(command)
    }
}

/// The switch: the one that is named, or the one beside this program.
pub(crate) fn program(named: Option<&Path>) -> Result<PathBuf, Failure> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => env::current_exe()
            .map_err(|error| Failure::of("find this program", error))?
            .with_file_name("authswitch"),
    };
    if !path.is_file() {
        let path = path.display();
        let text = format!("there is no switch at {path}; name one with --switch PATH");
        return Err(Failure::Usage(text));
    }
    Ok(path)
}

/// What the switch calls the messages of this tool.
pub(crate) fn dialect(form: Form) -> &'static str {
    match form {
        Form::Tpdu => "pos-bcd",
        Form::Bare => "iso87-binary",
    }
}

/// The host behind the switch, as a process of this program: it may be silent, and it may count.
pub(crate) fn partner(form: Form, address: SocketAddr, more: &[&str]) -> Result<Command, Failure> {
    let this = env::current_exe().map_err(|error| Failure::of("find this program", error))?;
    let mut command = Command::new(this);
    command.args(["partner", "--leashed", "--listen", &address.to_string()]).args(more);
    if form == Form::Bare {
        command.arg("--no-tpdu");
    }
    Ok(command)
}

/// The partner that never answers.
pub(crate) const SILENT: [&str; 2] = ["--silence", "100"];

/// What a switch says whose partner was silent, as the load has to expect it.
pub(crate) fn inoperative() -> Fate {
    let decline = Decline { share: Share::ALL, code: *b"91" };
    Fate { decline, silence: Share::default() }
}

/// Asks until the switch waits for its partner in vain: then they are connected, for a partner
/// that is not there is declined for at once. Returns how many requests were sent and not
/// answered, each of which the switch must take back.
pub(crate) fn await_silence(
    switch: &Running,
    form: Form,
    deadline: Duration,
) -> Result<u64, Failure> {
    for stan in 1..=SILENCE_TRIES {
        let asked_at_ns = now_ns();
        let answered = ask(switch.address, form, stan);
        let took = Duration::from_nanos(now_ns() - asked_at_ns);
        if answered.is_ok() && took >= deadline {
            return Ok(1);
        }
        pause(SILENCE_EVERY);
    }
    Err(Failure::Run("the switch does not connect to the silent partner".into()))
}

const SILENCE_TRIES: u32 = 500;
const SILENCE_EVERY: Duration = Duration::from_millis(20);

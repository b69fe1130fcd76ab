//! The switch as a child that is killed: how long until it approves again.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::dice::Dice;
use crate::clock::now_ns;
use crate::failure::Failure;

/// The switch, started by the rig and killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    command: Vec<String>,
    output: Option<File>,
    child: Child,
    started_at_ns: u64,
    /// It has been killed and has not approved anything since.
    waits: bool,
    /// From each restart to the first approval, in ns.
    pub(crate) recoveries_ns: Vec<u64>,
    pub(crate) kills: u64,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts a command, words separated by blanks; what it says goes to `switch.log`.
    pub(crate) fn start(command: &str, folder: Option<&Path>) -> Result<Process, Failure> {
        let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        let of = |error| Failure::of("write the switch's log", error);
        let output = folder.map(|folder| File::create(folder.join("switch.log")));
        let output = output.transpose().map_err(of)?;
        let child = spawn(&command, output.as_ref())?;
        Ok(Process {
            command,
            output,
            child,
            started_at_ns: now_ns(),
            waits: false,
            recoveries_ns: Vec::new(),
            kills: 0,
        })
    }

    /// Kills it (SIGKILL) and starts it again with the same command.
    pub(crate) fn restart(&mut self) -> Result<(), Failure> {
        self.child.kill().map_err(|error| Failure::of("kill the switch", error))?;
        self.child.wait().map_err(|error| Failure::of("wait for the switch", error))?;
        self.kills += 1;
        self.started_at_ns = now_ns();
        self.waits = true;
        self.child = spawn(&self.command, self.output.as_ref())?;
        Ok(())
    }

    /// An approval came through.
    pub(crate) fn approved(&mut self, now_ns: u64) {
        if self.waits {
            self.waits = false;
            self.recoveries_ns.push(now_ns - self.started_at_ns);
        }
    }

    /// Why it is not running, if it is not.
    pub(crate) fn ended(&mut self) -> Option<Failure> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(Failure::Run(format!("the switch ended by itself: {status}")))
    }
}

/// The next time to kill: the interval, give or take half.
pub(crate) fn next_kill_ns(now_ns: u64, every_ns: u64, dice: &mut Dice) -> u64 {
    now_ns + every_ns / 2 + dice.below(every_ns.max(1))
}

fn spawn(command: &[String], output: Option<&File>) -> Result<Child, Failure> {
    let (program, arguments) =
        command.split_first().ok_or_else(|| Failure::Usage("--serve names no program".into()))?;
    let sink = || match output.map(File::try_clone) {
        Some(Ok(file)) => Stdio::from(file),
        _ => Stdio::null(),
    };
    let mut child = Command::new(program);
    child.args(arguments).stdin(Stdio::null()).stdout(sink()).stderr(sink());
    child.spawn().map_err(|error| Failure::of(&format!("start {program}"), error))
}

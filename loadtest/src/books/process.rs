//! The switch as a child that is taken down: killed, cut off from its disk, or frozen.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use tokio::task::spawn_blocking;

use super::disk::Disk;
use crate::clock::now_ns;
use crate::failure::Failure;

/// The switch, started by the rig and killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    command: Vec<String>,
    output: Option<File>,
    /// None while it is down.
    life: Option<Life>,
    started_at_ns: u64,
    /// It has been down and has not approved anything since.
    waits: bool,
    pub(crate) tally: Tally,
}

/// What was done to it.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Tally {
    /// Times it was taken down.
    pub(crate) kills: u64,
    /// Of these, before it had approved anything.
    pub(crate) early: u64,
    /// Of these, by cutting the power of its disk.
    pub(crate) power_cuts: u64,
    /// Of these, it had ended by itself before it was killed.
    pub(crate) halts: u64,
    pub(crate) freezes: u64,
    /// From each restart to the first approval, in ns.
    pub(crate) recoveries_ns: Vec<u64>,
}

/// One run of the program, which does not outlive this.
#[derive(Debug)]
pub(crate) struct Life(Child);

impl Drop for Life {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    /// Starts a command, words separated by blanks; what it says goes to `switch.log`.
    pub(crate) fn start(command: &str, folder: Option<&Path>) -> Result<Process, Failure> {
        let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        let of = |error| Failure::of("write the switch's log", error);
        let output = folder.map(|folder| File::create(folder.join("switch.log")));
        let output = output.transpose().map_err(of)?;
        let life = Some(spawn(&command, output.as_ref())?);
        let tally = Tally::default();
        Ok(Process { command, output, life, started_at_ns: now_ns(), waits: false, tally })
    }

    /// Hands its life over to be ended; None if it is down already.
    pub(crate) fn give_up(&mut self) -> Option<Life> {
        let life = self.life.take()?;
        self.tally.kills += 1;
        self.tally.early += u64::from(self.waits);
        Some(life)
    }

    /// Starts it again with the same command.
    pub(crate) fn restart(&mut self, down: Down) -> Result<(), Failure> {
        self.tally.power_cuts += u64::from(down.power_cut);
        self.tally.halts += u64::from(down.halted);
        self.started_at_ns = now_ns();
        self.waits = true;
        self.life = Some(spawn(&self.command, self.output.as_ref())?);
        Ok(())
    }

    /// Stops it where it stands (SIGSTOP).
    pub(crate) fn freeze(&mut self) {
        self.tally.freezes += u64::from(self.signal(Signal::STOP));
    }

    /// Lets it go on (SIGCONT).
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) -> bool {
        let Some(life) = &self.life else { return false };
        kill_process(Pid::from_child(&life.0), signal).is_ok()
    }

    /// An approval came through; true if it is the first after a restart.
    pub(crate) fn approved(&mut self, now_ns: u64) -> bool {
        let is_first = std::mem::take(&mut self.waits);
        if is_first {
            self.tally.recoveries_ns.push(now_ns - self.started_at_ns);
        }
        is_first
    }

    /// Why it is not running, if nobody took it down.
    pub(crate) fn ended(&mut self) -> Option<Failure> {
        let status = self.life.as_mut()?.0.try_wait().ok().flatten()?;
        Some(Failure::Run(format!("the switch ended by itself: {status}")))
    }
}

/// How it went down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Down {
    power_cut: bool,
    halted: bool,
}

/// Ends a life: the power of its disk is cut first, if it has one that can be, and is on again
/// when this is done. The process has `grace` to notice that before it is killed.
pub(crate) async fn taken_down(
    mut life: Life,
    disk: Option<Arc<Disk>>,
    grace: Duration,
) -> Result<Down, Failure> {
    let Some(disk) = disk else {
        drop(life);
        return Ok(Down { power_cut: false, halted: false });
    };
    let cut = Arc::clone(&disk);
    blocking(move || cut.cut()).await?;
    tokio::time::sleep(grace).await;
    let halted = life.0.try_wait().is_ok_and(|status| status.is_some());
    drop(life);
    blocking(move || disk.restore()).await?;
    Ok(Down { power_cut: true, halted })
}

async fn blocking(
    work: impl FnOnce() -> Result<(), Failure> + Send + 'static,
) -> Result<(), Failure> {
    let done = spawn_blocking(work).await;
    done.map_err(|error| Failure::of("wait for a thread", error))?
}

fn spawn(command: &[String], output: Option<&File>) -> Result<Life, Failure> {
    let (program, arguments) =
        command.split_first().ok_or_else(|| Failure::Usage("--serve names no program".into()))?;
    let sink = || match output.map(File::try_clone) {
        Some(Ok(file)) => Stdio::from(file),
        _ => Stdio::null(),
    };
    let mut child = Command::new(program);
    child.args(arguments).stdin(Stdio::null()).stdout(sink()).stderr(sink());
    child.spawn().map(Life).map_err(|error| Failure::of(&format!("start {program}"), error))
}

//! Programs under measurement: started on their core, known to be ready, ended for certain.
//!
//! A child inherits the affinity of the thread that starts it, so the core is chosen by moving
//! this thread there for the moment of the start; no other program is needed for that. Ready
//! means that an authorization comes back approved, not merely that a port is open: a switch may
//! listen before its partner is signed on.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::clock::{NS_PER_S, now_ns, pause};
use crate::failure::Failure;
use crate::fate::APPROVED;
use crate::frame::{Form, walk, whole};
use crate::message::{Fleet, Requests};

/// A running program, killed when this is dropped.
pub(crate) struct Running {
    name: &'static str,
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Starts a program on these cores and returns once it authorizes.
    pub(crate) fn start(
        name: &'static str,
        mut command: Command,
        cores: &CpuSet,
        address: SocketAddr,
        form: Form,
    ) -> Result<Running, Failure> {
        command.stdout(Stdio::null());
        let mut running = Running::spawn(name, command, cores, address)?;
        running.wait_ready(form, READY_EVERY)?;
        Ok(running)
    }

    /// Starts a program on these cores, ready or not; where its output goes is up to the caller.
    pub(crate) fn spawn(
        name: &'static str,
        mut command: Command,
        cores: &CpuSet,
        address: SocketAddr,
    ) -> Result<Running, Failure> {
        let program = command.get_program().to_string_lossy().into_owned();
        let here = affinity()?;
        set_affinity(cores)?;
        let child = command.stdin(Stdio::null()).spawn();
        set_affinity(&here)?;
        let child = child.map_err(|error| Failure::of(&format!("start {program}"), error))?;
        Ok(Running { name, child, address })
    }

    /// Returns once it authorizes; asked again `every` so often.
    pub(crate) fn wait_ready(&mut self, form: Form, every: Duration) -> Result<(), Failure> {
        let deadline_ns = now_ns() + READY_WITHIN_S * NS_PER_S;
        let name = self.name;
        // A request like one that was refused would get the same answer again.
        for stan in 1.. {
            let error = match authorize(self.address, form, stan) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(Failure::Run(format!(
                    "the {name} ended before it was ready: {status}"
                )));
            }
            if now_ns() > deadline_ns {
                let text = format!("the {name} was not ready in {READY_WITHIN_S} s: {error}");
                return Err(Failure::Run(text));
            }
            pause(every);
        }
        Err(Failure::Run(format!("the {name} was asked too often")))
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Tells it, with SIGHUP, to do what it does with that.
    pub(crate) fn hang_up(&self) -> Result<(), Failure> {
        let told = Pid::from_raw(self.child.id() as i32)
            .ok_or(rustix::io::Errno::SRCH)
            .and_then(|id| kill_process(id, Signal::HUP));
        told.map_err(|error| Failure::of("send a signal", error))
    }

    /// Its standard output, if that was piped; once.
    pub(crate) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// CPU time used so far by all its threads, in ns.
    pub(crate) fn cpu_ns(&self) -> Result<u64, Failure> {
        cpu_ns(&self.child.id().to_string())
    }

    /// The most memory that it had resident so far, in MB.
    pub(crate) fn memory_mb(&self) -> Result<f64, Failure> {
        let id = self.child.id();
        let of = |error| Failure::of(&format!("read the memory of process {id}"), error);
        let text = fs::read_to_string(format!("/proc/{id}/status")).map_err(of)?;
        let most = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = most.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
        kib.map(|kib| kib * 1024.0 / 1e6).ok_or_else(|| of(io::ErrorKind::InvalidData.into()))
    }
}

/// CPU time used so far by all threads of a process, in ns; `process` is its id or `self`.
pub(crate) fn cpu_ns(process: &str) -> Result<u64, Failure> {
    let read = || -> io::Result<u64> {
        let mut sum_ns = 0;
        for task in fs::read_dir(format!("/proc/{process}/task"))? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            let first = text.split(' ').next().and_then(|word| word.parse::<u64>().ok());
            sum_ns += first.unwrap_or(0);
        }
        Ok(sum_ns)
    };
    read().map_err(|error| Failure::of(&format!("read the CPU time of process {process}"), error))
}

/// A loopback address that nobody listens on.
pub(crate) fn free_address() -> Result<SocketAddr, Failure> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|error| Failure::of("find a free port", error))
}

/// Ends this process when the one that started it ends.
pub(crate) fn leash() -> Result<(), Failure> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| Failure::of("follow the parent process", error))
}

/// Keeps this thread, and what it starts, on one core.
pub(crate) fn pin(core: usize) -> Result<(), Failure> {
    set_affinity(&one_core(core)?)
}

/// The set of just this core.
pub(crate) fn one_core(core: usize) -> Result<CpuSet, Failure> {
    let allowed = affinity()?;
    if core >= CpuSet::MAX_CPU || !allowed.is_set(core) {
        return Err(Failure::Usage(format!("core {core} is not one this process may run on")));
    }
    let mut cores = CpuSet::new();
    cores.set(core);
    Ok(cores)
}

/// The cores this thread may run on.
pub(crate) fn affinity() -> Result<CpuSet, Failure> {
    sched_getaffinity(None).map_err(|error| Failure::of("read the CPU affinity", error))
}

/// Moves this thread to these cores.
pub(crate) fn set_affinity(cores: &CpuSet) -> Result<(), Failure> {
    sched_setaffinity(None, cores).map_err(|error| Failure::of("set the CPU affinity", error))
}

/// One authorization over a connection of its own, approved.
fn authorize(address: SocketAddr, form: Form, stan: u32) -> io::Result<()> {
    match ask(address, form, stan)? {
        APPROVED => Ok(()),
        code => {
            let code = code.map(char::from);
            Err(io::Error::other(format!("it answered DE 39 = {}{}", code[0], code[1])))
        }
    }
}

/// One authorization over a connection of its own: DE 39 of the answer.
pub(crate) fn ask(address: SocketAddr, form: Form, stan: u32) -> io::Result<[u8; 2]> {
    let mut request = Vec::new();
    // The fleet of number 0 is nobody else's.
    Requests::new(form).append(&mut request, stan % 1_000_000, Fleet::of(0));
    exchange(address, form, &request)
}

/// A request over a connection of its own: DE 39 of its answer.
pub(crate) fn exchange(address: SocketAddr, form: Form, request: &[u8]) -> io::Result<[u8; 2]> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.set_nodelay(true)?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    let mut chunk = [0; 1_024];
    while whole(&answer, 0).is_none() {
        match stream.read(&mut chunk)? {
            0 => return Err(io::Error::other("it closed the connection")),
            read => answer.extend_from_slice(&chunk[..read]),
        }
    }
    let mut code = [0; 2];
    let read = walk(&answer, form, |field| {
        if field.de == 39 {
            code.copy_from_slice(&answer[field.start..field.end]);
        }
        true
    });
    read.map(|()| code).ok_or_else(|| io::Error::other("its answer cannot be read"))
}

/// A switch reads back what it kept, and that may be much.
const READY_WITHIN_S: u64 = 60;
const READY_EVERY: Duration = Duration::from_millis(20);
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

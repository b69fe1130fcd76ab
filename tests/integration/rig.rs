//! The process under test, and the lines that peers hold to it.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use authswitch::iso8583::dialect::Dialect;
use socket2::SockRef;

use crate::message::{Plain, answer_to, dialect, framed, probe, take};

/// What is bound to happen has happened by then, on a busy machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// The reaction to hostile bytes takes no longer.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(1);

pub(crate) const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[expect(clippy::disallowed_methods, reason = "an observer outside of the switch has its clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Waits, where there is nothing to wait for.
pub(crate) fn pause(duration: Duration) {
    let (_sender, receiver) = sync_channel::<()>(0);
    assert!(receiver.recv_timeout(duration).is_err());
}

/// A running switch.
pub(crate) struct Serve {
    child: Child,
    lines: Receiver<String>,
    errors: Option<thread::JoinHandle<String>>,
    pub(crate) address: SocketAddr,
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Serve {
    /// One listener on a port of its own, and `partner`.
    pub(crate) fn start(partner: SocketAddr, options: &[&str]) -> Self {
        let partner = partner.to_string();
        let pair = ["--acquirer", "127.0.0.1:0", "--partner", &partner];
        Self::with(&[&pair, options].concat())
    }

    /// The same, but nobody reads its output once it is ready.
    pub(crate) fn start_unheard(partner: SocketAddr) -> Self {
        let partner = partner.to_string();
        Self::launch(&["--acquirer", "127.0.0.1:0", "--partner", &partner], false)
    }

    pub(crate) fn with(options: &[&str]) -> Self {
        Self::launch(options, true)
    }

    /// The same, and it says these lines, by their beginnings, before it listens.
    pub(crate) fn telling(options: &[&str], lines: &[&str]) -> Self {
        Self::start_of(switch(&[&["serve"], options].concat()), true, lines)
    }

    fn launch(options: &[&str], heard: bool) -> Self {
        Self::run(switch(&[&["serve"], options].concat()), heard)
    }

    /// What this command starts, which becomes a switch.
    pub(crate) fn run(command: Command, heard: bool) -> Self {
        Self::start_of(command, heard, &[])
    }

    fn start_of(mut command: Command, heard: bool, told: &[&str]) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the switch starts");
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let last = line == "ready" && !heard;
                let _ = sender.send(line);
                if last {
                    break;
                }
            }
        });
        let mut stderr = child.stderr.take().expect("a pipe");
        let errors = thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut serve = Self { child, lines, errors: Some(errors), address };
        for line in told {
            serve.wait_for_line(line);
        }
        let listening = serve.wait_for_line("listening");
        serve.address = listening.rsplit(' ').next().and_then(|a| a.parse().ok()).expect("an ADDR");
        serve.wait_for_line("ready");
        serve
    }

    /// The next line that begins with `word`.
    pub(crate) fn wait_for_line(&mut self, word: &str) -> String {
        let deadline = now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.starts_with(word) => return line,
                Ok(_) => {}
                Err(_) => {
                    let _ = self.child.kill();
                    let errors = self.errors.take().map(thread::JoinHandle::join);
                    panic!("no line {word:?}; standard error: {errors:?}");
                }
            }
        }
    }

    pub(crate) fn call(&self) -> Line {
        self.call_in("pos-bcd")
    }

    pub(crate) fn call_in(&self, name: &str) -> Line {
        Line::new(TcpStream::connect(self.address).expect("the switch listens"), dialect(name))
    }

    pub(crate) fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &command]).status().expect("a shell");
        assert!(status.success());
    }

    /// Waits for the end of the process, which must have said nothing on standard error.
    pub(crate) fn ends(&mut self) -> ExitStatus {
        let deadline = now() + PATIENCE;
        while now() < deadline {
            if let Some(status) = self.child.try_wait().expect("a child") {
                let errors = self.errors.take().expect("once").join().expect("read");
                assert_eq!(errors, "", "nothing on standard error");
                return status;
            }
            pause(ms(5));
        }
        panic!("the switch does not exit");
    }

    /// Processor time it has used, in hundredths of a second.
    pub(crate) fn ticks(&self) -> u64 {
        let stat = self.proc("stat");
        let numbers = stat.rsplit(')').next().expect("Linux").split_whitespace();
        numbers.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
    }

    /// How many worker threads it has.
    pub(crate) fn workers(&self) -> usize {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("Linux");
        let names =
            tasks.map(|task| std::fs::read_to_string(task.expect("a task").path().join("comm")));
        names.filter(|name| name.as_ref().is_ok_and(|name| name.starts_with("worker-"))).count()
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).expect("Linux")
    }

    /// Resident memory in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("Linux");
        let kib: u64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("kB");
        kib * 1024
    }
}

/// The switch with a command line, not yet started.
pub(crate) fn switch(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_authswitch"));
    command.args(arguments).env("RUST_BACKTRACE", "1");
    command
}

/// Where the switch calls.
pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    accepted: Receiver<TcpStream>,
    dialect: Arc<Dialect>,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self::at("127.0.0.1:0", "pos-bcd")
    }

    pub(crate) fn at(address: &str, name: &str) -> Self {
        let listener = TcpListener::bind(address).expect("loopback");
        let address = listener.local_addr().expect("bound");
        let (sender, accepted) = channel();
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if sender.send(stream).is_err() {
                    return;
                }
            }
        });
        Self { address, accepted, dialect: dialect(name) }
    }

    pub(crate) fn accept(&self) -> Line {
        self.accept_within(PATIENCE).expect("the switch calls")
    }

    pub(crate) fn accept_within(&self, patience: Duration) -> Option<Line> {
        let stream = self.accepted.recv_timeout(patience).ok()?;
        let mut line = Line::new(stream, Arc::clone(&self.dialect));
        line.takes_reversals = true;
        Some(line)
    }

    /// Answers everything on every connection, until there is nobody to answer.
    pub(crate) fn answer(self, with: impl Fn(&Plain) -> Vec<Plain> + Send + Clone + 'static) {
        thread::spawn(move || {
            while let Ok(stream) = self.accepted.recv() {
                let mut line = Line::new(stream, Arc::clone(&self.dialect));
                let with = with.clone();
                thread::spawn(move || line.answer(with));
            }
        });
    }
}

/// What a peer heard.
#[derive(Debug)]
pub(crate) enum Heard {
    Message(Plain),
    End,
    Nothing,
}

/// One connection, seen by the peer of the switch.
pub(crate) struct Line {
    pub(crate) stream: TcpStream,
    pub(crate) dialect: Arc<Dialect>,
    buffer: Vec<u8>,
    /// A partner's line takes what is reversed, as it comes, and does not show it as a message.
    pub(crate) takes_reversals: bool,
    /// What it took.
    reversals: Vec<Plain>,
}

impl Line {
    pub(crate) fn new(stream: TcpStream, dialect: Arc<Dialect>) -> Self {
        stream.set_nodelay(true).expect("TCP");
        Self { stream, dialect, buffer: Vec::new(), takes_reversals: false, reversals: Vec::new() }
    }

    pub(crate) fn send(&mut self, message: &Plain) {
        self.send_bytes(&self.frame(message));
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the switch reads");
    }

    pub(crate) fn frame(&self, message: &Plain) -> Vec<u8> {
        framed(&self.dialect, message)
    }

    /// The next message, the end, or nothing within `patience`.
    pub(crate) fn hear(&mut self, patience: Duration) -> Heard {
        let deadline = now() + patience;
        loop {
            while let Some(message) = take(&self.dialect, &mut self.buffer) {
                if !self.takes_reversals || !message.is_reversal() {
                    return Heard::Message(message);
                }
                let taken = self.frame(&answer_to(&message, "00"));
                let _ = self.stream.write_all(&taken);
                self.reversals.push(message);
            }
            let left = deadline.saturating_duration_since(now());
            if left.is_zero() {
                return Heard::Nothing;
            }
            self.stream.set_read_timeout(Some(left.max(ms(1)))).expect("not zero");
            let mut part = [0; 65_536];
            match self.stream.read(&mut part) {
                Ok(0) => {
                    assert!(self.buffer.is_empty(), "half a frame, then the end");
                    return Heard::End;
                }
                Ok(count) => self.buffer.extend_from_slice(&part[..count]),
                Err(error) if is_gone(&error) => return Heard::End,
                Err(error) if is_time_out(&error) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[track_caller]
    pub(crate) fn receive(&mut self) -> Plain {
        match self.hear(PATIENCE) {
            Heard::Message(message) => message,
            other => panic!("a message was due: {other:?}"),
        }
    }

    /// Hears nothing new, no reversal either.
    #[track_caller]
    pub(crate) fn hears_nothing(&mut self, time: Duration) {
        let before = self.reversals.len();
        let heard = self.hear(time);
        assert!(matches!(heard, Heard::Nothing), "silence was due: {heard:?}");
        assert_eq!(self.reversals.get(before..), Some(&[][..]), "silence was due");
    }

    #[track_caller]
    pub(crate) fn ends_within(&mut self, time: Duration) {
        let heard = self.hear(time);
        assert!(matches!(heard, Heard::End), "the end was due: {heard:?}");
    }

    /// Sends a request and returns its answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: &Plain) -> Plain {
        self.send(request);
        self.receive()
    }

    /// Answers what comes in until the end.
    pub(crate) fn answer(&mut self, with: impl Fn(&Plain) -> Vec<Plain>) {
        loop {
            match self.hear(PATIENCE) {
                Heard::Message(request) => {
                    for answer in with(&request) {
                        let frame = self.frame(&answer);
                        if self.stream.write_all(&frame).is_err() {
                            return;
                        }
                    }
                }
                Heard::Nothing => {}
                Heard::End => return,
            }
        }
    }

    /// Says that nothing more will be sent, and stays to listen.
    pub(crate) fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).expect("open");
    }

    /// Ends the connection with a reset.
    pub(crate) fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("TCP");
    }
}

pub(crate) fn is_time_out(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// A switch with one partner session up, the test being the partner.
pub(crate) fn connected(options: &[&str]) -> (Serve, Host, Line) {
    let host = Host::new();
    let mut serve = Serve::start(host.address, options);
    let line = host.accept();
    serve.wait_for_line("connected");
    (serve, host, line)
}

/// A connection from which requests reach `partner`: a worker without a session of its own has to
/// be lent one first.
pub(crate) fn reaching(serve: &Serve, partner: &mut Line) -> Line {
    let mut line = serve.call();
    let deadline = now() + PATIENCE;
    while now() < deadline {
        let request = probe();
        line.send(&request);
        if let Heard::Message(seen) = partner.hear(ms(100)) {
            partner.send(&answer_to(&seen, "00"));
            line.receive().answers(&request, "00");
            return line;
        }
        line.receive().answers(&request, "91");
    }
    panic!("requests do not reach the partner");
}

/// A switch whose partner approves everything at once.
pub(crate) fn approving(options: &[&str]) -> Serve {
    let host = Host::new();
    let mut serve = Serve::start(host.address, options);
    host.answer(approve);
    serve.wait_for_line("connected");
    serve
}

pub(crate) fn approve(request: &Plain) -> Vec<Plain> {
    vec![answer_to(request, "00")]
}

/// A folder that is gone with the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let name = format!("authswitch-{}-{name}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&folder.0).expect("a place for files");
        for (file, text) in files {
            std::fs::write(folder.0.join(file), text).expect("a file");
        }
        folder
    }

    pub(crate) fn path(&self, file: &str) -> String {
        self.0.join(file).to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The same pair as on the command line, from files, with lower bounds.
pub(crate) fn bounded(name: &str, partner: SocketAddr, limits: &str) -> Folder {
    configured(name, partner, &format!("[limits]\n{limits}"), "1500ms")
}

/// The same with a journal of short segments in `journal`, and this budget.
pub(crate) fn kept(name: &str, partner: SocketAddr, journal: &str, budget: &str) -> Folder {
    let settings = format!("journal = {journal:?}\njournal_segment_bytes = 4194304\n");
    configured(name, partner, &settings, budget)
}

pub(crate) fn configured(name: &str, partner: SocketAddr, settings: &str, budget: &str) -> Folder {
    let switch = format!(
        "workers = 1\n{settings}\n\
         [[acquirer]]\nname = \"pos\"\nlisten = \"127.0.0.1:0\"\ndialect = \"pos-bcd\"\n\
         [[partner]]\nname = \"bank\"\nconnect = \"{partner}\"\nsessions = 1\n\
         dialect = \"pos-bcd\"\nsign_on = false\necho_interval = \"0s\"\n"
    );
    let routes = format!(
        "check_merchants = false\n\
         [[network]]\nname = \"CARD\"\npans = [{{ prefix = \"4\", length = 16 }}]\n\
         [[route]]\nname = \"card\"\nnetwork = \"CARD\"\nregion = \"*\"\n\
         partners = [\"bank\"]\nbudget = \"{budget}\"\n"
    );
    Folder::new(name, &[("switch.toml", &switch), ("routes.toml", &routes)])
}

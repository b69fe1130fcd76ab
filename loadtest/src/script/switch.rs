//! The switch of a scenario: a folder of configuration, and the real program on it.
//!
//! The folder is the default configuration of the repository with the scenario's changes; only the
//! addresses are replaced, by ports that are free. The program is killed and the folder removed
//! with the value.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use toml::de::{DeTable, DeValue};

use super::moment::Zero;
use super::scenario::{Change, Edit, Setup};
use super::stage::Event;
use super::tongue::Tongue;

/// A folder of configuration that is gone with this.
#[derive(Debug)]
pub(crate) struct Site {
    folder: PathBuf,
    files: BTreeMap<String, String>,
    zero: Zero,
    /// Where each partner is; acquirers listen where they like.
    addresses: BTreeMap<String, SocketAddr>,
}

/// Who is named in `switch.toml`.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) tongue: Tongue,
    pub(crate) is_partner: bool,
    pub(crate) sessions: usize,
    /// Whether the switch signs on to it.
    pub(crate) sign_on: bool,
}

impl Drop for Site {
    fn drop(&mut self) {
        // What cannot be removed is left to whoever clears temporary files.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Site {
    /// The default configuration with these changes; nothing is written yet.
    pub(crate) fn new(changes: &[Change], zero: Zero) -> Result<Site, String> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let name = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("loadtest-script-{}-{name}", std::process::id());
        let files = DEFAULT.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let mut site = Site {
            folder: env::temp_dir().join(name),
            files: files.into(),
            zero,
            addresses: BTreeMap::new(),
        };
        site.change(changes)?;
        Ok(site)
    }

    /// Where it is written to.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Changes files, in order.
    pub(crate) fn change(&mut self, changes: &[Change]) -> Result<(), String> {
        for change in changes {
            let wrong = |text: String| format!("the change in line {}: {text}", change.line);
            let file = self.files.entry(change.file.clone()).or_default();
            match &change.edit {
                Edit::Append(text) => {
                    let text = self.zero.fill(text).map_err(wrong)?;
                    file.push_str(&format!("\n{}\n", text.trim_end()));
                }
                Edit::Rows(count, row) => {
                    let row = self.zero.fill(row).map_err(wrong)?;
                    file.push('\n');
                    for number in 1..=*count {
                        file.push_str(&numbered(&row, number));
                        file.push('\n');
                    }
                }
                Edit::Replace(old, new) => {
                    let (old, new) = (old.trim_end(), self.zero.fill(new).map_err(wrong)?);
                    let found = file.matches(old).count();
                    if found != 1 {
                        let name = &change.file;
                        return Err(wrong(format!("{old:?} stands in {name} {found} times")));
                    }
                    *file = file.replace(old, new.trim_end());
                }
            }
        }
        Ok(())
    }

    /// Whoever is named in `switch.toml`, in its order.
    pub(crate) fn peers(&self) -> Result<Vec<Peer>, String> {
        let text = &self.files[SWITCH];
        let root = DeTable::parse(text).map_err(|error| format!("{SWITCH}: {error}"))?;
        let mut peers = Vec::new();
        for (kind, is_partner) in [("acquirer", false), ("partner", true)] {
            for table in tables(root.get_ref(), kind) {
                let text = |key: &str| table.get(key).and_then(|value| value.get_ref().as_str());
                let name = text("name").unwrap_or_default().to_owned();
                let dialect = text("dialect").unwrap_or_default();
                let unknown = || format!("nobody here speaks {dialect:?}, the dialect of {name}");
                let tongue = Tongue::of(dialect).ok_or_else(unknown)?;
                let sessions = table.get("sessions").and_then(|value| {
                    value.get_ref().as_integer().and_then(|number| number.as_str().parse().ok())
                });
                let sessions = sessions.unwrap_or(1);
                let sign_on = table.get("sign_on").and_then(|value| value.get_ref().as_bool());
                let sign_on = sign_on.unwrap_or(true);
                peers.push(Peer { name, tongue, is_partner, sessions, sign_on });
            }
        }
        Ok(peers)
    }

    /// Says where a partner is.
    pub(crate) fn place(&mut self, partner: &str, address: SocketAddr) {
        self.addresses.insert(partner.to_owned(), address);
    }

    /// Writes the folder.
    pub(crate) fn write(&self) -> Result<(), String> {
        let failed = |error| format!("cannot write {}: {error}", self.folder.display());
        fs::create_dir_all(&self.folder).map_err(failed)?;
        for (name, text) in &self.files {
            let text = if name == SWITCH { self.addressed(text)? } else { text.clone() };
            fs::write(self.folder.join(name), text).map_err(failed)?;
        }
        Ok(())
    }

    /// `switch.toml` with the addresses of this run.
    fn addressed(&self, text: &str) -> Result<String, String> {
        let root = DeTable::parse(text).map_err(|error| format!("{SWITCH}: {error}"))?;
        let mut places = Vec::new();
        for (kind, key) in [("acquirer", "listen"), ("partner", "connect")] {
            for table in tables(root.get_ref(), kind) {
                let Some(value) = table.get(key) else { continue };
                let name = table.get("name").and_then(|name| name.get_ref().as_str());
                let address = name.and_then(|name| self.addresses.get(name));
                let address = address.map_or("127.0.0.1:0".to_owned(), SocketAddr::to_string);
                places.push((value.span(), address));
            }
        }
        places.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
        let mut text = text.to_owned();
        for (span, address) in places {
            text.replace_range(span, &format!("{address:?}"));
        }
        Ok(text)
    }
}

fn tables<'t>(root: &'t DeTable<'t>, key: &str) -> impl Iterator<Item = &'t DeTable<'t>> {
    let list = root.get(key).and_then(|value| value.get_ref().as_array());
    list.into_iter().flatten().filter_map(|item| DeValue::as_table(item.get_ref()))
}

/// `text` with a number for `{n}`: with five digits for `{n:5}`, and counted again from 1 after
/// eighteen for `{n%18}` and `{n%18:5}`.
pub(crate) fn numbered(text: &str, number: u64) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("{n") {
        let said = behind.split_once('}').and_then(|(said, after)| {
            let (round, digits) = said.split_once(':').unwrap_or((said, "0"));
            let round = match round.strip_prefix('%') {
                Some(round) => round.parse().ok().filter(|round| *round > 0)?,
                None if round.is_empty() => u64::MAX,
                None => return None,
            };
            Some((round, digits.parse::<usize>().ok()?, after))
        });
        filled.push_str(before);
        match said {
            Some((round, digits, after)) => {
                filled.push_str(&format!("{:0digits$}", (number - 1) % round + 1));
                rest = after;
            }
            // The name of a message may begin so.
            None => {
                filled.push_str("{n");
                rest = behind;
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// The running program, which ends with this.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    /// Starts the program; every line it says is an event.
    pub(crate) fn start(
        program: &Path,
        site: &Site,
        setup: &Setup,
        events: &Sender<Event>,
    ) -> Result<Process, String> {
        let mut command = Command::new(program);
        command.arg("serve").arg("--config").arg(&site.folder);
        command.args(["--workers", &setup.workers.to_string()]);
        if setup.journal {
            command.arg("--journal").arg(site.folder.join("journal"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed = |error| format!("cannot start {}: {error}", program.display());
        let mut child = command.spawn().map_err(failed)?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        out.into_iter().for_each(|out| listen(out, events.clone(), Event::Said));
        err.into_iter().for_each(|err| listen(err, events.clone(), Event::Complained));
        Ok(Process(child))
    }

    /// Tells it to read its configuration again.
    pub(crate) fn reload(&self) -> Result<(), String> {
        kill_process(Pid::from_child(&self.0), Signal::HUP)
            .map_err(|error| format!("cannot signal the switch: {error}"))
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<String> {
        self.0.try_wait().ok().flatten().map(|status| status.to_string())
    }
}

fn listen(pipe: impl Read + Send + 'static, events: Sender<Event>, of: fn(String) -> Event) {
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if events.send(of(line)).is_err() {
                return;
            }
        }
    });
}

const SWITCH: &str = "switch.toml";

/// The configuration that ships with the switch. It is data: no code is shared.
const DEFAULT: [(&str, &str); 4] = [
    (SWITCH, include_str!("../../../config/switch.toml")),
    ("routes.toml", include_str!("../../../config/routes.toml")),
    ("risk.toml", include_str!("../../../config/risk.toml")),
    ("merchants.csv", include_str!("../../../config/merchants.csv")),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn change(file: &str, edit: Edit) -> Change {
        Change { file: file.to_owned(), edit, line: 7 }
    }

    #[test]
    fn the_default_configuration_is_changed_where_it_is_told() {
        let changes = [
            change("merchants.csv", Edit::Rows(2, "M-{n:3},KR,*,,".to_owned())),
            change("routes.toml", Edit::Append("# last {now}".to_owned())),
            change("routes.toml", Edit::Replace("prefix = \"281011\"".into(), "gone".into())),
        ];
        let mut site = Site::new(&changes, Zero::next()).unwrap();
        assert!(site.files["merchants.csv"].ends_with("\nM-001,KR,*,,\nM-002,KR,*,,\n"));
        assert!(site.files["routes.toml"].contains("{ gone, length = 24 }"));
        assert!(!site.files["routes.toml"].contains("{now"));
        let twice = change("routes.toml", Edit::Replace("ALIPAYPLUS".into(), "x".into()));
        let error = site.change(&[twice]).unwrap_err();
        assert!(error.starts_with("the change in line 7: \"ALIPAYPLUS\" stands"), "{error}");
    }

    #[test]
    fn messages_are_numbered() {
        assert_eq!(numbered("A{n}-{n:3}-{n%18}", 20), "A20-020-2");
        assert_eq!(numbered("{n%18:2} {n%18:2}", 18), "18 18");
        assert_eq!(numbered("{name.37} {n", 7), "{name.37} {n");
    }

    #[test]
    fn only_addresses_are_other_in_what_is_written() {
        let mut site = Site::new(&[], Zero::next()).unwrap();
        let peers = site.peers().unwrap();
        assert!(peers.iter().any(|peer| peer.name == "pos" && !peer.is_partner));
        let union = peers.iter().find(|peer| peer.name == "unionpay").unwrap();
        assert_eq!((union.tongue, union.sessions), (Tongue::Ascii, 2));
        site.place("unionpay", SocketAddr::from(([127, 0, 0, 1], 9)));
        let text = site.addressed(&site.files[SWITCH]).unwrap();
        assert!(text.contains("name = \"unionpay\"\nconnect = \"127.0.0.1:9\"\n"), "{text}");
        assert!(text.contains("listen = \"127.0.0.1:0\"\n"), "{text}");
        assert_eq!(text.lines().count(), site.files[SWITCH].lines().count());
    }
}

//! A scenario as it is written: a switch to start, and steps to play around it.
//!
//! Plain data; what may stand in a file is told in [`super::read`], what is done with it in
//! [`super::play`]. Whatever a step does not expect is a miss: a message that reaches a partner
//! nobody named, a second answer, an answer to nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// One file.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) file: PathBuf,
    /// Its number in the list of corridors; 0 if it has none.
    pub(crate) row: u64,
    pub(crate) title: String,
    /// What it shows, in one sentence.
    pub(crate) shows: String,
    pub(crate) setup: Setup,
    pub(crate) steps: Vec<Step>,
}

/// The switch that is started.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// What of the default configuration is other.
    pub(crate) changes: Vec<Change>,
    pub(crate) workers: u64,
    /// Whether it keeps a journal, which survives its process.
    pub(crate) journal: bool,
    /// Partners that are not there when it starts.
    pub(crate) down: Vec<String>,
}

/// What is other in one of its files.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) file: String,
    pub(crate) edit: Edit,
    /// Where the scenario says so.
    pub(crate) line: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum Edit {
    /// These lines come last.
    Append(String),
    /// This line comes last so many times, with its number for `{n}`, counted from 1.
    Rows(u64, String),
    /// This stands there exactly once, and becomes that.
    Replace(String, String),
}

/// One thing that happens, and all that must come of it.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) what: String,
    /// How long nothing is done first.
    pub(crate) wait: Duration,
    /// From zero: not before, and not after.
    pub(crate) at: Option<Duration>,
    pub(crate) by: Option<Duration>,
    /// Partners that close everything, and that are there again.
    pub(crate) down: Vec<String>,
    pub(crate) up: Vec<String>,
    /// What partners, and acquirers, do with what reaches them in this step.
    pub(crate) conducts: Vec<(String, Conduct)>,
    /// The configuration changes while the switch runs.
    pub(crate) reload: Option<Reload>,
    pub(crate) sent: Option<Sent>,
    pub(crate) reaches: Vec<Reach>,
    /// How long to listen for what must not come.
    pub(crate) quiet: Duration,
}

/// What is written, and whether the switch may take it.
#[derive(Clone, Debug)]
pub(crate) struct Reload {
    pub(crate) changes: Vec<Change>,
    /// It must refuse the files and go on with those it has.
    pub(crate) refused: bool,
    /// Half of the messages are sent before it is told, half after.
    pub(crate) midway: bool,
}

/// What a partner does.
#[derive(Clone, Debug)]
pub(crate) struct Conduct {
    pub(crate) act: Act,
    /// How long it thinks.
    pub(crate) delay: Duration,
    /// Elements that its answers have beside those it repeats.
    pub(crate) more: BTreeMap<u8, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Answers with this DE 39.
    Answer(String),
    Silent,
    /// Closes the connection instead of an answer.
    Close,
    /// Sends half of its answer and closes.
    Half,
}

impl Default for Conduct {
    fn default() -> Conduct {
        let act = Act::Answer("00".to_owned());
        Conduct { act, delay: Duration::ZERO, more: BTreeMap::new() }
    }
}

/// What an acquirer sends, or a partner.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// Who sends, and over which connection; a partner has only those that the switch made.
    pub(crate) sender: String,
    pub(crate) connection: String,
    pub(crate) content: Content,
    /// How later steps call it.
    pub(crate) name: Option<String>,
    /// How many different messages; `{n}` in their values is their number, counted from 1.
    pub(crate) messages: u64,
    /// How many times the same message, each on a connection of its own.
    pub(crate) copies: u64,
    /// How many connections share the messages.
    pub(crate) connections: u64,
    /// Messages under way at once.
    pub(crate) window: u64,
    /// Messages a second at the begin and at the end, regardless of answers.
    pub(crate) rate: Option<(f64, f64)>,
    pub(crate) answer: Answer,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Fresh(Template),
    /// What an earlier step sent, byte for byte but for the MTI.
    Again(String, Option<u16>),
}

/// A message to be made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Template {
    pub(crate) mti: u16,
    pub(crate) fields: BTreeMap<u8, String>,
    /// Elements that it has not, though others have them.
    pub(crate) absent: Vec<u8>,
    /// The payment code in DE 59, tag A3.
    pub(crate) code: Option<String>,
    /// The earlier message that DE 90 names.
    pub(crate) original: Option<String>,
    /// It is no message: a value has a size that its element cannot have.
    pub(crate) garbled: bool,
}

/// What the acquirer must hear.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// No answer at all.
    pub(crate) none: bool,
    pub(crate) values: Values,
    /// It answers what cannot be read: by its connection alone it is known to be the answer.
    pub(crate) unnamed: bool,
    /// The same as the answer to this earlier message.
    pub(crate) same_as: Option<String>,
    /// How many answers have this DE 39, at least and at most.
    pub(crate) codes: Vec<(String, u64, u64)>,
    pub(crate) within: Duration,
    /// The same for whatever is not approved.
    pub(crate) declined_within: Duration,
    pub(crate) not_before: Duration,
}

/// What must reach a partner, or an acquirer.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    pub(crate) party: String,
    pub(crate) least: u64,
    pub(crate) most: u64,
    pub(crate) values: Values,
}

/// What a message must say; what is not named here is not looked at.
pub(crate) type Values = Vec<(Key, Wanted)>;

/// What can be asked of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Mti,
    Element(u8),
    /// The payment code in DE 59, tag A3.
    Code,
}

/// What a value must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    OneOf(Vec<String>),
    Present,
    Absent,
}

impl Key {
    /// As it is written.
    pub(crate) fn of(text: &str) -> Option<Key> {
        match text {
            "mti" => Some(Key::Mti),
            "code" => Some(Key::Code),
            _ => {
                let de = text.parse().ok().filter(|de| matches!(de, 2..=128) && *de != 65)?;
                (!text.starts_with(['0', '+'])).then_some(Key::Element(de))
            }
        }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Key::Mti => out.write_str("the MTI"),
            Key::Code => out.write_str("the payment code"),
            Key::Element(de) => write!(out, "DE {de}"),
        }
    }
}

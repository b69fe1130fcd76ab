//! Scenario files: TOML in, a scenario or the first mistake with its line out.
//!
//! ```toml
//! row = 1
//! title = "Kakao Pay on Chinese online markets"
//! shows = "one request reaches alipayplus-cn, and its answer comes back unchanged"
//!
//! [switch]                        # the default configuration, but for
//! change = [{ file = "merchants.csv", append = "TAOBAO,CN,ALIPAYPLUS,5999," }]
//!
//! [message.sale]                  # elements of messages that steps name with like
//! mti = "0100"
//! 4 = "000000010000"
//!
//! [[step]]
//! what = "a shopper from Korea pays 100.00"
//! partner.alipayplus-cn = { do = "approve", 51 = "410" }
//! send = { like = "sale", 49 = "156", as = "first" }
//! answer = { 39 = "00", 51 = "410" }
//! reaches = { partner = "alipayplus-cn", 4 = "000000010000" }
//! ```
//!
//! A value is text, a list of which one must be there, or true and false for present and absent.
//! All keys are told in `loadtest/scenarios/README.md`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::scenario::{
    Act, Answer, Change, Conduct, Content, Edit, Key, Reach, Reload, Scenario, Sent, Setup, Step,
    Template, Values, Wanted,
};
use super::table::{Entry, Mistake, Read, Table};

/// Reads a file, or says in one sentence where it is wrong.
pub(crate) fn read(file: &Path) -> Result<Scenario, String> {
    let shown = file.display();
    let text = fs::read_to_string(file).map_err(|error| format!("{shown}: {error}"))?;
    scenario(file, &text).map_err(|mistake| {
        format!("{shown}:{}: {}", line_of(&text, mistake.at.start), mistake.text)
    })
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

fn scenario(file: &Path, text: &str) -> Read<Scenario> {
    let root = DeTable::parse(text).map_err(|error| {
        let text = error.message().lines().collect::<Vec<_>>().join(", ");
        Mistake { at: error.span().unwrap_or_default(), text }
    })?;
    let mut root = Table::new(root.get_ref(), 0..0);
    let mut reader = Reader { text, messages: Vec::new(), sent: Vec::new() };
    let row = root.number("row", 0..1_000, 0)?;
    let title = root.need("title")?.text()?.to_owned();
    let shows = root.need("shows")?.text()?.to_owned();
    let setup = match root.take("switch") {
        Some(entry) => reader.setup(entry.table()?)?,
        None => Setup { changes: Vec::new(), workers: 1, journal: false, down: Vec::new() },
    };
    if let Some(entry) = root.take("message") {
        for (name, entry) in entry.table()?.rest() {
            let template = reader.template(entry.table()?)?;
            reader.messages.push((name.to_owned(), template));
        }
    }
    let steps = root.need("step")?.one_or_more()?;
    let steps = steps.iter().map(|entry| reader.step(entry)).collect::<Read<Vec<Step>>>()?;
    root.finish()?;
    Ok(Scenario { file: file.to_owned(), row, title, shows, setup, steps })
}

/// What later parts of a file may refer to.
struct Reader<'t> {
    text: &'t str,
    messages: Vec<(String, Template)>,
    /// Names of what was sent.
    sent: Vec<String>,
}

impl Reader<'_> {
    fn setup(&self, mut table: Table<'_>) -> Read<Setup> {
        let changes = self.changes(&mut table)?;
        let workers = table.number("workers", 1..65, 1)?;
        let journal = table.flag("journal")?;
        let down = owned(table.texts("down")?);
        table.finish()?;
        Ok(Setup { changes, workers, journal, down })
    }

    fn changes(&self, table: &mut Table<'_>) -> Read<Vec<Change>> {
        table.tables("change")?.into_iter().map(|table| self.change(table)).collect()
    }

    fn change(&self, mut table: Table<'_>) -> Read<Change> {
        let line = line_of(self.text, table.at.start);
        let entry = table.need("file")?;
        let file = entry.text()?.to_owned();
        if !FILES.contains(&file.as_str()) {
            return Err(entry.mistake(format!("{file:?} is none of {}", FILES.join(", "))));
        }
        let (append, rows) = (table.text("append")?, table.text("row")?);
        let count = table.number("count", 1..10_000_001, 1)?;
        let (old, new) = (table.text("replace")?, table.text("with")?);
        let at = table.at.clone();
        table.finish()?;
        let edit = match (append, rows, old, new) {
            (Some(text), None, None, None) => Edit::Append(text.to_owned()),
            (None, Some(text), None, None) => Edit::Rows(count, text.to_owned()),
            (None, None, Some(old), Some(new)) => Edit::Replace(old.to_owned(), new.to_owned()),
            _ => {
                let text = "a change says append, or row and count, or replace and with";
                return Err(Mistake { at, text: text.to_owned() });
            }
        };
        Ok(Change { file, edit, line })
    }

    fn step(&mut self, entry: &Entry<'_>) -> Read<Step> {
        let mut table = entry.table()?;
        let what = table.need("what")?.text()?.to_owned();
        let mut conducts = Vec::new();
        for side in SIDES {
            let Some(entry) = table.take(side) else { continue };
            for (name, entry) in entry.table()?.rest() {
                conducts.push((name.to_owned(), conduct(&entry)?));
            }
        }
        let reload = match table.take("reload") {
            Some(entry) => {
                let mut table = entry.table()?;
                let changes = self.changes(&mut table)?;
                let (refused, midway) = (table.flag("refused")?, table.flag("midway")?);
                table.finish()?;
                Some(Reload { changes, refused, midway })
            }
            None => None,
        };
        let answer = table.take("answer");
        let sent = match table.take("send") {
            Some(entry) => Some(self.sent(&entry, answer)?),
            None if answer.is_some() => {
                return Err(Mistake { at: table.at, text: "an answer to nothing".to_owned() });
            }
            None => None,
        };
        let step = Step {
            line: line_of(self.text, table.at.start),
            what,
            wait: table.time("wait")?.unwrap_or_default(),
            at: table.time("at")?,
            by: table.time("by")?,
            down: owned(table.texts("down")?),
            up: owned(table.texts("up")?),
            conducts,
            reload,
            sent,
            reaches: table.tables("reaches")?.into_iter().map(reach).collect::<Read<_>>()?,
            quiet: table.time("quiet")?.unwrap_or(QUIET),
        };
        table.finish()?;
        Ok(step)
    }

    fn sent(&mut self, entry: &Entry<'_>, answer: Option<Entry<'_>>) -> Read<Sent> {
        let mut table = entry.table()?;
        let name = table.text("as")?.map(str::to_owned);
        let sender = side(&mut table)?.unwrap_or_else(|| "pos".to_owned());
        let connection = table.text("connection")?.unwrap_or("1").to_owned();
        let messages = table.number("messages", 1..900_001, 1)?;
        let copies = table.number("copies", 1..1_001, 1)?;
        let connections = table.number("connections", 1..1_001, 1)?;
        let window = table.number("window", 1..65_537, 1_024)?;
        let rate = table.texts("rate")?;
        let rate: Vec<f64> = rate.iter().filter_map(|text| text.parse().ok()).collect();
        let rate = match rate[..] {
            [] => None,
            [rate] => Some((rate, rate)),
            [first, last, ..] => Some((first, last)),
        };
        let content = match table.take("again") {
            Some(entry) => {
                let mti = table.take("mti").map(|entry| mti(&entry)).transpose()?;
                let again = self.name_of_sent(&entry)?;
                table.finish()?;
                Content::Again(again, mti)
            }
            None => Content::Fresh(self.template(table)?),
        };
        let answer = self.answer(answer)?;
        if name.is_some() && messages > 1 {
            return Err(entry.mistake("many messages cannot have one name"));
        }
        self.sent.extend(name.clone());
        Ok(Sent {
            sender,
            connection,
            content,
            name,
            messages,
            copies,
            connections,
            window,
            rate,
            answer,
        })
    }

    /// A message: that of another name, and what it has of its own.
    fn template(&self, mut table: Table<'_>) -> Read<Template> {
        let mut template = Template { mti: 0x0200, ..Template::default() };
        if let Some(entry) = table.take("like") {
            let name = entry.text()?;
            let found = self.messages.iter().find(|(other, _)| other == name);
            let unknown = || entry.mistake(format!("no [message.{name}] stands above"));
            template = found.ok_or_else(unknown)?.1.clone();
        }
        if let Some(entry) = table.take("mti") {
            template.mti = mti(&entry)?;
        }
        if let Some(entry) = table.take("original") {
            template.original = Some(self.name_of_sent(&entry)?);
        }
        template.garbled = table.flag("garbled")?;
        for (name, entry) in table.rest() {
            match (Key::of(name), entry.value) {
                (Some(Key::Code), _) => template.code = Some(entry.text()?.to_owned()),
                (Some(Key::Element(de)), DeValue::Boolean(false)) => template.absent.push(de),
                (Some(Key::Element(de)), _) => {
                    template.absent.retain(|other| *other != de);
                    template.fields.insert(de, entry.text()?.to_owned());
                }
                _ => return Err(entry.mistake(format!("{name:?} is no element of a message"))),
            }
        }
        Ok(template)
    }

    fn name_of_sent(&self, entry: &Entry<'_>) -> Read<String> {
        let name = entry.text()?;
        if !self.sent.iter().any(|other| other == name) {
            return Err(entry.mistake(format!("nothing was sent as {name:?} in a step above")));
        }
        Ok(name.to_owned())
    }

    fn answer(&self, entry: Option<Entry<'_>>) -> Read<Answer> {
        let mut answer = Answer {
            none: true,
            values: Values::new(),
            unnamed: false,
            same_as: None,
            codes: Vec::new(),
            within: PATIENCE,
            declined_within: PATIENCE,
            not_before: Duration::ZERO,
        };
        let Some(entry) = entry else { return Ok(answer) };
        if entry.value.as_bool() == Some(false) {
            return Ok(answer);
        }
        let mut table = entry.table()?;
        answer.none = false;
        answer.within = table.time("within")?.unwrap_or(PATIENCE);
        answer.unnamed = table.flag("unnamed")?;
        answer.declined_within = table.time("declined_within")?.unwrap_or(answer.within);
        answer.not_before = table.time("after")?.unwrap_or_default();
        if let Some(entry) = table.take("codes") {
            for (code, entry) in entry.table()?.rest() {
                let (least, most) = bounds(&entry)?;
                answer.codes.push((code.to_owned(), least, most));
            }
        }
        if let Some(entry) = table.take("same_as") {
            answer.same_as = Some(self.name_of_sent(&entry)?);
        }
        answer.values = values(table)?;
        Ok(answer)
    }
}

fn reach(mut table: Table<'_>) -> Read<Reach> {
    let at = table.at.clone();
    let missing = || Mistake { at, text: "partner is missing".to_owned() };
    let party = side(&mut table)?.ok_or_else(missing)?;
    let (least, most) = table.take("count").map_or(Ok((1, 1)), |entry| bounds(&entry))?;
    Ok(Reach { party, least, most, values: values(table)? })
}

/// The name of a partner or an acquirer.
fn side(table: &mut Table<'_>) -> Read<Option<String>> {
    let names = SIDES.map(|side| table.text(side));
    let [partner, acquirer] = names;
    Ok(partner?.or(acquirer?).map(str::to_owned))
}

/// A number, or the least and the most of a list.
fn bounds(entry: &Entry<'_>) -> Read<(u64, u64)> {
    let numbers = entry.one_or_more()?;
    let numbers =
        numbers.iter().map(|entry| entry.number(0..1_000_001)).collect::<Read<Vec<_>>>()?;
    match numbers[..] {
        [number] => Ok((number, number)),
        [least, most] if least <= most => Ok((least, most)),
        _ => Err(entry.mistake("expected a number, or the least and the most")),
    }
}

/// `"approve"`, or a table with that as `do`, and elements of the answer beside it.
fn conduct(entry: &Entry<'_>) -> Read<Conduct> {
    if entry.value.is_str() {
        return act(entry);
    }
    let mut table = entry.table()?;
    let mut conduct = table.take("do").map_or(Ok(Conduct::default()), |entry| act(&entry))?;
    conduct.delay = table.time("delay")?.unwrap_or(conduct.delay);
    for (key, wanted) in values(table)? {
        match (key, wanted) {
            (Key::Element(de), Wanted::OneOf(mut value)) if value.len() == 1 => {
                conduct.more.extend(value.pop().map(|value| (de, value)));
            }
            _ => return Err(entry.mistake("a partner answers with elements, one value each")),
        }
    }
    Ok(conduct)
}

fn act(entry: &Entry<'_>) -> Read<Conduct> {
    let text = entry.text()?;
    let (word, more) = text.split_once(':').unwrap_or((text, ""));
    let mut conduct = Conduct::default();
    conduct.act = match (word, more.len()) {
        ("approve", 0) => conduct.act,
        ("silent", 0) => Act::Silent,
        ("close", 0) => Act::Close,
        ("half", 0) => Act::Half,
        ("decline", 2) => Act::Answer(more.to_owned()),
        ("late", 2..) => {
            let ns = crate::partner::duration_ns(more).map_err(|text| entry.mistake(text))?;
            conduct.delay = Duration::from_nanos(ns);
            conduct.act
        }
        _ => {
            let known = "approve, decline:51, silent, late:800ms, close, half";
            return Err(entry.mistake(format!("{text:?} is none of {known}")));
        }
    };
    Ok(conduct)
}

fn values(table: Table<'_>) -> Read<Values> {
    let mut values = Values::new();
    for (name, entry) in table.rest() {
        let Some(key) = Key::of(name) else {
            return Err(entry.mistake(format!("{name:?} is neither an element nor a word here")));
        };
        let wanted = match entry.value.as_bool() {
            Some(true) => Wanted::Present,
            Some(false) => Wanted::Absent,
            None => {
                let texts = entry.one_or_more()?;
                let texts = texts.iter().map(|entry| entry.text().map(str::to_owned));
                Wanted::OneOf(texts.collect::<Read<_>>()?)
            }
        };
        values.push((key, wanted));
    }
    Ok(values)
}

fn mti(entry: &Entry<'_>) -> Read<u16> {
    let text = entry.text()?;
    let digits = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    let mti = digits.then(|| u16::from_str_radix(text, 16).ok()).flatten();
    mti.ok_or_else(|| entry.mistake(format!("{text:?} is no MTI: four digits")))
}

fn owned(texts: Vec<&str>) -> Vec<String> {
    texts.into_iter().map(str::to_owned).collect()
}

/// Who can be named.
const SIDES: [&str; 2] = ["partner", "acquirer"];

/// Files of a configuration.
const FILES: [&str; 4] = ["switch.toml", "routes.toml", "risk.toml", "merchants.csv"];

/// How long an answer may take, unless the step says it: longer than the promise of any route.
const PATIENCE: Duration = Duration::from_secs(8);

/// How long to listen for what must not come, unless the step says it.
const QUIET: Duration = Duration::from_millis(25);

//! Lines of a transcript, read by themselves: no codec of the switch is involved.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// Which transcript a line stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum File {
    /// That of the acquirers.
    Acquirer,
    /// That of a partner, counted from 0.
    Partner(usize),
    /// The journal's records, as lines.
    Records,
    /// The journal itself; its records are counted from 1.
    Journal,
}

/// A line of a transcript, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Where it stands.
    pub file: File,
    /// Its number.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.file {
            File::Acquirer => write!(out, "acquirer:{}", self.line),
            File::Partner(0) => write!(out, "partner:{}", self.line),
            File::Partner(number) => write!(out, "partner {}:{}", number + 1, self.line),
            File::Records => write!(out, "records:{}", self.line),
            File::Journal => write!(out, "journal:{}", self.line),
        }
    }
}

/// One line.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) place: Place,
    pub(super) at_ns: u64,
    pub(super) connection: u64,
    pub(super) what: What,
}

/// What a line tells.
#[derive(Debug, Clone)]
pub(super) enum What {
    Open,
    Close,
    Message(Message),
}

/// A message, as its values in text.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) to_switch: bool,
    /// Four digits.
    pub(super) mti: String,
    pub(super) fields: BTreeMap<u8, String>,
}

/// A message where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'t> {
    pub(super) place: Place,
    pub(super) at_ns: u64,
    pub(super) connection: u64,
    pub(super) message: &'t Message,
}

impl Line {
    /// Reads a line of `file`.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words.
    pub(super) fn read(place: Place, text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let number = |name: &str| {
            value.get(name).and_then(Value::as_u64).ok_or_else(|| format!("{name}: no number"))
        };
        let what = match value.get("event").and_then(Value::as_str) {
            Some("open") => What::Open,
            Some("close") => What::Close,
            Some(other) => return Err(format!("event {other:?} is neither open nor close")),
            None => What::Message(Message::read(&value)?),
        };
        Ok(Self { place, at_ns: number("at_ns")?, connection: number("connection")?, what })
    }

    /// The message of this line.
    pub(super) fn seen(&self) -> Option<Seen<'_>> {
        let What::Message(message) = &self.what else { return None };
        let (place, at_ns, connection) = (self.place, self.at_ns, self.connection);
        Some(Seen { place, at_ns, connection, message })
    }
}

impl Message {
    fn read(value: &Value) -> Result<Self, String> {
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
        let to_switch = match text("direction") {
            "to-switch" => true,
            "from-switch" => false,
            other => return Err(format!("direction {other:?} is unknown")),
        };
        let mti = text("mti").to_owned();
        if mti.len() != 4 || !mti.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(format!("mti {mti:?} is not four digits"));
        }
        let Some(Value::Object(object)) = value.get("fields") else {
            return Err("fields: no object".to_owned());
        };
        let mut fields = BTreeMap::new();
        for (name, value) in object {
            let element = name.parse().map_err(|_| format!("field {name:?} is no number"))?;
            let value = value.as_str().ok_or_else(|| format!("field {name}: no text"))?;
            fields.insert(element, value.to_owned());
        }
        Ok(Self { to_switch, mti, fields })
    }

    /// The value of an element, empty if it is absent.
    pub(super) fn of(&self, element: u8) -> &str {
        self.fields.get(&element).map_or("", String::as_str)
    }

    /// An amount in minor units; 0 if there is none.
    pub(super) fn amount(&self) -> u64 {
        self.of(4).parse().unwrap_or(0)
    }

    fn digit(&self, place: usize) -> u8 {
        self.mti.as_bytes().get(place).map_or(0, |digit| digit - b'0')
    }

    /// The second digit of the MTI.
    pub(super) fn class(&self) -> u8 {
        self.digit(1)
    }

    /// Whether it answers something: the third digit is odd.
    pub(super) fn is_answer(&self) -> bool {
        !self.digit(2).is_multiple_of(2)
    }

    /// A request (function 0) of class 1 or 2: it may move money.
    pub(super) fn is_sale(&self) -> bool {
        matches!(self.class(), 1 | 2) && self.digit(2) == 0
    }

    /// An advice of class 1 or 2: money has moved.
    pub(super) fn is_advice(&self) -> bool {
        matches!(self.class(), 1 | 2) && self.digit(2) == 2
    }

    /// Whether it says of itself that it is a repeat.
    pub(super) fn is_repeat(&self) -> bool {
        !self.digit(3).is_multiple_of(2)
    }

    /// The MTI of its answer.
    pub(super) fn answer_mti(&self) -> String {
        let origin = self.digit(3) & !1;
        format!("{}{}{}{origin}", self.digit(0), self.class(), self.digit(2) + 1)
    }

    /// Whether DE 39 approves, in full or in part.
    pub(super) fn approves(&self) -> bool {
        matches!(self.of(39), "00" | "10")
    }
}

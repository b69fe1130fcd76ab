//! The records of a journal, read by themselves, and what they say of each transaction.
//!
//! Written from the description of the records, not from the code that writes them. Dialects are
//! not known here: whether a record agrees with a line of a transcript is decided by whether it
//! holds the values of the line, in any of the notations that peers use.

use std::collections::BTreeMap;
use std::path::Path;

use super::segments::{self, Parts, chunk, u16_at, u32_at, u64_at};

/// All that a journal says, by transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Journal {
    pub(super) lives: BTreeMap<u64, Life>,
}

/// What the records say of one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Life {
    /// Which record was its first, counted from 1.
    pub(super) record: usize,
    pub(super) intent: Option<Intent>,
    /// Each one is final; a later one is news.
    pub(super) outcomes: Vec<Outcome>,
    /// Reversals of what was asked.
    pub(super) owed: Vec<Owed>,
    /// Advices, and what takes them back.
    pub(super) told: Vec<Owed>,
    /// Of `owed`.
    pub(super) done: bool,
    /// A partner refused for good, or a person has closed it.
    pub(super) given_up: bool,
}

/// It was about to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Intent {
    pub(super) stan: u32,
    pub(super) amount: Option<u64>,
    /// What was kept of it in clear, and its account number.
    pub(super) clear: Vec<u8>,
    pub(super) account: Vec<u8>,
}

/// What the partner said, as it was handed on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) is_approved: bool,
    pub(super) code: String,
    pub(super) approval: String,
}

/// A message that is owed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Owed {
    pub(super) stan: u32,
    pub(super) message: Vec<u8>,
}

impl Journal {
    /// Reads the journal in `folder`; `keys` is the text of its key file.
    ///
    /// # Errors
    ///
    /// What is not as described, and where.
    pub fn read(folder: &Path, keys: &str) -> Result<Self, String> {
        Self::of(&segments::read(folder, keys)?)
    }

    /// The records of these batches.
    pub(super) fn of(batches: &[Parts]) -> Result<Self, String> {
        let mut journal = Self::default();
        let mut count = 0;
        for (clear, secret) in batches {
            let (mut rest, mut secret) = (clear.as_slice(), secret.as_slice());
            while let [kind, behind @ ..] = rest {
                count += 1;
                let wrong = |why| format!("record {count}: {why}");
                let bytes = usize::from(u16_at(behind, 0).map_err(wrong)?);
                let body = behind.get(2..2 + bytes).ok_or_else(|| wrong("cut short".to_owned()))?;
                journal.record(count, *kind, body, &mut secret).map_err(wrong)?;
                rest = behind.get(2 + bytes..).unwrap_or_default();
            }
        }
        Ok(journal)
    }

    fn record(
        &mut self,
        count: usize,
        kind: u8,
        body: &[u8],
        secret: &mut &[u8],
    ) -> Result<(), String> {
        let (id, role) = transaction_of(u64_at(body, 0)?);
        let life = self.lives.entry(id).or_default();
        if life.record == 0 {
            life.record = count;
        }
        match kind {
            1 => {
                let account = take(secret, usize::from(chunk::<1>(body, 56)?[0]))?;
                let amount = Some(u64_at(body, 48)?).filter(|amount| *amount != u64::MAX);
                let clear = body.get(58..).unwrap_or_default().to_vec();
                life.intent = Some(Intent { stan: u32_at(body, 20)?, amount, clear, account });
            }
            2 => {
                let (flags, text) = (chunk::<1>(body, 8)?[0], |at, bytes| -> Option<String> {
                    let text = body.get(at..at + bytes)?;
                    Some(String::from_utf8_lossy(text).trim().to_owned())
                });
                let approval = text(12, 6).filter(|_| flags & 2 != 0).unwrap_or_default();
                let (code, is_approved) = (text(9, 3).ok_or("no code")?, flags & 1 != 0);
                life.outcomes.push(Outcome { is_approved, code, approval });
            }
            6 => {
                let message = take(secret, usize::from(u16_at(body, 15)?))?;
                let owed = Owed { stan: u32_at(body, 10)?, message };
                let owed_before = match role {
                    REVERSAL => &mut life.owed,
                    _ => &mut life.told,
                };
                if !owed_before.contains(&owed) {
                    owed_before.push(owed);
                }
            }
            8 => life.done |= role == REVERSAL,
            9 => life.given_up |= role == REVERSAL,
            11 => life.given_up |= chunk::<1>(body, 16)?[0] == 1,
            3 | 4 | 5 | 7 | 10 => {}
            other => return Err(format!("of kind {other}, which is not known here")),
        }
        Ok(())
    }
}

/// The number of a transaction, and of what is owed for it: two bits above the 38 that count.
const fn transaction_of(id: u64) -> (u64, u64) {
    (id & !(3 << COUNT_BITS), id >> COUNT_BITS & 3)
}

const COUNT_BITS: u32 = 38;
const REVERSAL: u64 = 0;

fn take(secret: &mut &[u8], bytes: usize) -> Result<Vec<u8>, String> {
    let (taken, rest) = secret.split_at_checked(bytes).ok_or("its secret part is missing")?;
    *secret = rest;
    Ok(taken.to_vec())
}

/// True if `bytes` have `value` in them: as ASCII, as EBCDIC, or, if it is digits, packed.
pub(super) fn holds(bytes: &[u8], value: &str) -> bool {
    let value = value.trim().as_bytes();
    let has = |text: &[u8]| text.is_empty() || bytes.windows(text.len()).any(|part| part == text);
    if has(value) || has(&value.iter().map(|byte| ebcdic(*byte)).collect::<Vec<u8>>()) {
        return true;
    }
    let digits: Option<Vec<u8>> =
        value.iter().map(|byte| byte.is_ascii_digit().then(|| byte - b'0')).collect();
    let nibbles: Vec<u8> = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).collect();
    digits.is_some_and(|digits| nibbles.windows(digits.len()).any(|part| part == digits))
}

/// Letters, digits and the blank; what else there is stands for itself.
const fn ebcdic(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0' + 0xF0,
        b'A'..=b'I' => byte - b'A' + 0xC1,
        b'J'..=b'R' => byte - b'J' + 0xD1,
        b'S'..=b'Z' => byte - b'S' + 0xE2,
        b' ' => 0x40,
        other => other,
    }
}

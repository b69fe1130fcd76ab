//! Lists of `risk.toml`: `prefixes`, `merchants`, `terminals`, `tokens`, `file`, `until`.
//!
//! A card number never stands in a file: a token does, which `authswitch risk token` makes with the
//! key of the installation. So tokens need a `key_file`, the same for whoever makes them and
//! whoever reads them.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use super::conditions::{texts, until};
use super::table::Table;
use crate::app::dialect_file::Log;
use crate::app::text_file;
use crate::base::time::Wall;
use crate::risk::list::{FOR_EVER, Listed};

/// Files that `risk.toml` names, and which have been asked for: whoever changes one of them changes
/// the rules.
pub(super) struct Beside<'d> {
    dir: Option<&'d Path>,
    read: RefCell<Vec<PathBuf>>,
}

impl<'d> Beside<'d> {
    /// Those in `dir`.
    pub(super) fn new(dir: Option<&'d Path>) -> Self {
        Self { dir, read: RefCell::default() }
    }

    /// Those that were asked for.
    pub(super) fn read(self) -> Vec<PathBuf> {
        self.read.into_inner()
    }

    fn path(&self, name: &str) -> PathBuf {
        let path = self.dir.unwrap_or(Path::new("")).join(name);
        self.read.borrow_mut().push(path.clone());
        path
    }

    /// The key in a file.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn secret(&self, name: &str) -> Result<u64, String> {
        secret(&self.path(name))
    }
}

/// Reads lists under one key.
pub(super) struct Reader<'r> {
    pub(super) secret: u64,
    /// True if the key is in a file.
    pub(super) has_key: bool,
    pub(super) beside: &'r Beside<'r>,
}

impl Reader<'_> {
    /// Everybody on a list, each with its end.
    pub(super) fn read(&self, table: &mut Table<'_>, log: &mut Log<'_>) -> Vec<(Listed, Wall)> {
        let mut listed = texts(table, "prefixes", log, prefix);
        listed.append(&mut texts(table, "merchants", log, |text| {
            text_of(text, 15, Listed::Merchant)
        }));
        listed
            .append(&mut texts(table, "terminals", log, |text| text_of(text, 8, Listed::Terminal)));
        listed.append(&mut texts(table, "tokens", log, |text| token_of(text, self.has_key)));
        let file = table.take("file").and_then(|entry| Some((entry.text(log)?, entry.span)));
        if let Some((name, span)) = file {
            match self.file(name) {
                Ok(mut more) => listed.append(&mut more),
                Err(reasons) => reasons.into_iter().for_each(|reason| log.add(&span, reason)),
            }
        }
        let until = until(table, log).unwrap_or(FOR_EVER);
        listed.into_iter().map(|listed| (listed, until)).collect()
    }

    /// One a line, see [`list_entry`].
    fn file(&self, name: &str) -> Result<Vec<Listed>, Vec<String>> {
        let path = self.beside.path(name);
        let text = text_file::text(&path, LIST_BYTES_MAX)
            .map_err(|mistake| vec![mistake.without_text()])?;
        let (mut listed, mut wrong) = (Vec::new(), Vec::new());
        for (number, line) in text.lines().enumerate() {
            match list_entry(line, self.has_key) {
                Ok(one) => listed.extend(one),
                Err(why) if wrong.len() < WRONG_MAX => {
                    wrong.push(format!("{}:{}: {why}", path.display(), number + 1));
                }
                Err(_) => break,
            }
        }
        if !text.is_empty() && !text.ends_with('\n') && wrong.is_empty() {
            let (path, line) = (path.display(), text.lines().count());
            wrong.push(format!("{path}:{line}: the line has no end: was the file cut off?"));
        }
        if wrong.is_empty() { Ok(listed) } else { Err(wrong) }
    }
}

/// Whom a line of a list names; `None` if it is a remark, or empty. Tokens have a meaning only
/// where there is a key.
///
/// # Errors
///
/// What is wrong with it.
pub fn list_entry(line: &str, has_key: bool) -> Result<Option<Listed>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let listed = match line.split_once(' ') {
        None => token_of(line, has_key),
        Some(("token", text)) => token_of(text.trim(), has_key),
        Some(("prefix", digits)) => prefix(digits.trim()),
        Some(("merchant", text)) => text_of(text.trim(), 15, Listed::Merchant),
        Some(("terminal", text)) => text_of(text.trim(), 8, Listed::Terminal),
        // What it is instead is not shown: it may be a card number in groups of four.
        Some(_) => Err("not one of token, prefix, merchant or terminal".to_owned()),
    };
    listed.map(Some)
}

fn token_of(text: &str, has_key: bool) -> Result<Listed, String> {
    if !has_key {
        return Err("tokens need a key_file: without it they mean nothing".to_owned());
    }
    let digits = Some(text).filter(|text| text.len() == 16);
    let token = digits.and_then(|text| u64::from_str_radix(text, 16).ok());
    // What it is not is not shown: it may be a card number.
    token.map(Listed::Token).ok_or_else(|| "no token: 16 hexadecimal digits".to_owned())
}

fn secret(path: &Path) -> Result<u64, String> {
    let bytes = text_file::bytes(path, KEY_BYTES_MAX)
        .map_err(|reason| format!("{}: cannot be read: {reason}", path.display()))?;
    if bytes.len() < KEY_BYTES_MIN {
        return Err(format!("a key of fewer than {KEY_BYTES_MIN} bytes can be guessed"));
    }
    let hash = blake3::derive_key("authswitch risk tokens", &bytes);
    Ok(hash.first_chunk().map_or(0, |word| u64::from_le_bytes(*word)))
}

/// The token of a card number or code under the key in a file.
///
/// # Errors
///
/// What is wrong with the file.
pub fn token(key_file: &Path, digits: &[u8]) -> Result<u64, String> {
    let secret = secret(key_file)?;
    Ok(crate::risk::token(secret, digits))
}

fn prefix(digits: &str) -> Result<Listed, String> {
    let fits = (1..=PREFIX_MAX).contains(&digits.len());
    match fits && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Ok(Listed::Prefix(digits.to_owned())),
        false => Err(format!("a prefix has 1 to {PREFIX_MAX} digits")),
    }
}

fn text_of(text: &str, most: usize, listed: fn(String) -> Listed) -> Result<Listed, String> {
    match (1..=most).contains(&text.len()) {
        true => Ok(listed(text.to_owned())),
        false => Err(format!("{text:?} does not have 1 to {most} characters")),
    }
}

/// Longer ones would name one card.
const PREFIX_MAX: usize = 11;

const KEY_BYTES_MIN: usize = 16;
const KEY_BYTES_MAX: u64 = 64 << 10;

/// Seven million tokens.
pub const LIST_BYTES_MAX: u64 = 128 << 20;

/// Lines of one file that are told.
const WRONG_MAX: usize = 20;

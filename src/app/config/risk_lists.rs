//! Lists of `risk.toml`: `prefixes`, `merchants`, `terminals`, `tokens`, `file`, `until`.
//!
//! A card number never stands in a file: a token does, which `authswitch risk token` makes with the
//! key of the installation. So tokens need a `key_file`, the same for whoever makes them and
//! whoever reads them.

use std::fs;
use std::path::{Path, PathBuf};

use super::conditions::{texts, until};
use super::log::Log;
use super::table::Table;
use crate::base::time::Wall;
use crate::risk::list::{FOR_EVER, Listed};

/// Reads lists under one key.
pub(super) struct Reader<'r> {
    pub(super) secret: u64,
    /// True if the key is in a file.
    pub(super) has_key: bool,
    pub(super) dir: Option<&'r Path>,
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
        listed.append(&mut texts(table, "tokens", log, |text| self.token(text)));
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

    /// One a line: a token, or a word and what it names, `merchant SHOP-1`.
    fn file(&self, name: &str) -> Result<Vec<Listed>, Vec<String>> {
        let path = beside(self.dir, name);
        let text = fs::read_to_string(&path)
            .map_err(|error| vec![format!("{}: cannot be read: {error}", path.display())])?;
        let (mut listed, mut wrong) = (Vec::new(), Vec::new());
        let lines = text.lines().map(str::trim).enumerate();
        for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let read = match line.split_once(' ') {
                None => self.token(line),
                Some(("prefix", digits)) => prefix(digits.trim()),
                Some(("merchant", text)) => text_of(text.trim(), 15, Listed::Merchant),
                Some(("terminal", text)) => text_of(text.trim(), 8, Listed::Terminal),
                Some((word, _)) => Err(format!("{word:?}: prefix, merchant or terminal")),
            };
            match read {
                Ok(one) => listed.push(one),
                Err(why) if wrong.len() < WRONG_MAX => {
                    wrong.push(format!("{}:{}: {why}", path.display(), number + 1));
                }
                Err(_) => break,
            }
        }
        if wrong.is_empty() { Ok(listed) } else { Err(wrong) }
    }

    fn token(&self, text: &str) -> Result<Listed, String> {
        if !self.has_key {
            return Err("tokens need a key_file: without it they mean nothing".to_owned());
        }
        let digits = Some(text).filter(|text| text.len() == 16);
        let token = digits.and_then(|text| u64::from_str_radix(text, 16).ok());
        // What it is not is not shown: it may be a card number.
        token.map(Listed::Token).ok_or_else(|| "no token: 16 hexadecimal digits".to_owned())
    }
}

/// The key in a file.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn secret(name: &str, dir: Option<&Path>) -> Result<u64, String> {
    let path = beside(dir, name);
    let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
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
    let secret = secret(&key_file.to_string_lossy(), None)?;
    Ok(crate::risk::token(secret, digits))
}

fn beside(dir: Option<&Path>, name: &str) -> PathBuf {
    dir.unwrap_or(Path::new("")).join(name)
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

/// Lines of one file that are told.
const WRONG_MAX: usize = 20;

//! TOML with all its mistakes, as long as it is short enough for that.
//!
//! The parser goes on behind a mistake and remembers each with texts of its own: a file of eight
//! megabytes without a sound line would cost gigabytes to refuse. So a long text is looked at first
//! by a parser that remembers only one mistake.

use toml::Spanned;
use toml::de::{DeTable, Error};

/// The table, and what is wrong with the text: every mistake of a short one, one of a long one.
pub(super) fn parsed(text: &str) -> (Spanned<DeTable<'_>>, Vec<Error>) {
    if text.len() > RECOVERED_BYTES_MAX
        && let Err(first) = DeTable::parse(text)
    {
        return (Spanned::new(0..0, DeTable::new()), vec![first]);
    }
    DeTable::parse_recoverable(text)
}

/// Much longer than what a person writes by hand.
const RECOVERED_BYTES_MAX: usize = 1 << 20;

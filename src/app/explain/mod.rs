//! One request, explained: what it says, what the routes make of it, and what the switch would do.
//!
//! Nothing is decided here. The way is that of [`RouteTable::explain`]; what would be sent comes
//! from a switch of this configuration that is fed the request while every partner is there, and
//! nothing happened before. So a void or a refund is told that its original is not known, and
//! limits that count former requests are not reached: which of them count it is said.
//!
//! [`RouteTable::explain`]: crate::routing::RouteTable::explain

mod sections;
mod sent;
#[cfg(test)]
mod tests;

use super::config::{Acquirer, Config};
use super::json::Shown;
use crate::base::time::Wall;
use crate::iso8583::decode::Index;
use crate::iso8583::message::Message;
use crate::switch::sound;

/// A request to be explained.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Who sends it.
    pub acquirer: &'a Acquirer,
    /// The message, without the frame around it.
    pub bytes: &'a [u8],
    /// When it comes.
    pub wall: Wall,
    /// How much of the card data is shown.
    pub shown: Shown,
}

/// What is to be said of a request, in lines of 80 columns.
#[derive(Debug)]
pub struct Explanation {
    /// The text.
    pub text: String,
    /// True if it goes to a partner.
    pub is_sent: bool,
}

/// Explains a request.
pub fn explain(request: &Request<'_>) -> Explanation {
    let mut text = String::new();
    let dialect = &request.acquirer.dialect;
    let mut index = Index::default();
    let done = sent::fed(request);
    let decoded = dialect.decode(request.bytes, &mut index);
    sections::came(&mut text, request);
    if let Err(error) = decoded {
        say(&mut text, "damaged", &error.to_string());
    } else {
        let message = Message { bytes: request.bytes, index: &index, dialect };
        let mut facts = sound::facts(&message);
        facts.link = Some(request.acquirer.link);
        sections::elements(&mut text, &message, request.shown);
        if matches!(message.mti().class(), 1 | 2) {
            sections::asked(&mut text, &message, &facts);
            let explained = request.config.routes.explain(&facts, request.wall);
            sections::code(&mut text, request, &message, &facts, &explained);
            sections::merchant(&mut text, request.config, &facts, &explained);
            sections::corridor(&mut text, request, &explained);
            sections::candidates(&mut text, request.config, &explained);
            sections::limits(&mut text, request, &message, &facts, &explained);
            sections::partners(&mut text, request.config, &facts, (&explained, &done));
        }
    }
    sections::done(&mut text, request, &done);
    Explanation { text, is_sent: !done.sent.is_empty() }
}

/// `words` behind a label, in lines of 80 columns.
fn say(text: &mut String, label: &str, words: &str) {
    text.push_str(&format!("{label:<LABEL$}"));
    let mut column = LABEL;
    for (place, word) in words.split(' ').enumerate() {
        let width = word.chars().count();
        if place > 0 && column + 1 + width > COLUMNS {
            text.push('\n');
            text.push_str(&" ".repeat(LABEL));
            column = LABEL;
        } else if place > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += width;
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
}

const COLUMNS: usize = 80;
const LABEL: usize = 12;

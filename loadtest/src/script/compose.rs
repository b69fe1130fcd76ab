//! Messages of acquirers: what a scenario says of them, and what every message has.
//!
//! Every message is different from all before: its STAN and its retrieval reference count up. What
//! a later step repeats or refers to is remembered by its name.

use std::collections::BTreeMap;

use super::judge::mask;
use super::scenario::{Content, Template};
use super::switch::numbered;
use crate::books::message::{self, Message};
use crate::clock::{Moment, NS_PER_S, wall_ns};
use crate::frame::{Width, width_of};

/// A message that was sent, and its answer.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) connection: usize,
    pub(crate) at_ns: u64,
    pub(crate) message: Message,
    pub(crate) answer: Option<Message>,
}

/// Makes messages.
#[derive(Debug, Default)]
pub(crate) struct Composer {
    counted: u64,
    named: BTreeMap<String, Asked>,
}

impl Composer {
    /// The message of this number, or what of it makes no sense.
    pub(crate) fn compose(&mut self, content: &Content, number: u64) -> Result<Message, String> {
        match content {
            Content::Fresh(template) => self.fresh(template, number),
            Content::Again(name, mti) => {
                let mut message = self.asked(name)?.message.clone();
                message.mti = mti.unwrap_or(message.mti);
                Ok(message)
            }
        }
    }

    /// Keeps what was sent under a name.
    pub(crate) fn remember(&mut self, name: &str, asked: Option<Asked>) {
        self.named.extend(asked.map(|asked| (name.to_owned(), asked)));
    }

    /// What was sent under a name.
    pub(crate) fn asked(&self, name: &str) -> Result<&Asked, String> {
        self.named.get(name).ok_or_else(|| format!("nothing was sent as {name:?}"))
    }

    fn fresh(&mut self, template: &Template, number: u64) -> Result<Message, String> {
        self.counted += 1;
        let Moment { month, day, hour, minute, second, .. } = Moment::of(wall_ns() / NS_PER_S);
        let mut message = Message::new(template.mti)
            .with(7, format!("{month:02}{day:02}{hour:02}{minute:02}{second:02}"))
            .with(11, format!("{:06}", self.counted));
        if message.class() != 8 {
            message = message
                .with(3, "000000")
                .with(25, "00")
                .with(37, format!("6326{:08}", self.counted))
                .with(41, "SCEN0001");
        }
        if let Some(code) = &template.code {
            let code = self.filled(code, number)?;
            message = message.with(22, "031").with(59, format!("A3{:03}{code}", code.len()));
        }
        if let Some(name) = &template.original {
            message = message.with(90, original(&self.asked(name)?.message));
        }
        for (de, value) in &template.fields {
            message = message.with(*de, self.filled(value, number)?);
        }
        template.absent.iter().for_each(|de| drop(message.fields.remove(de)));
        for (de, value) in &mut message.fields {
            if let (Width::Fixed(width), message::Content::Text) =
                (width_of(*de), message::content(*de))
            {
                *value = format!("{value:<width$}");
            }
        }
        let mut fields = message.fields.iter();
        let wrong = fields.find(|(de, value)| !template.garbled && !fits(**de, value));
        match wrong {
            Some((de, value)) => Err(format!("{:?} is no value of DE {de}", mask(*de, value))),
            None => Ok(message),
        }
    }

    /// `{n}` is the number, `{name.37}` an element of an earlier message, `{name.answer.38}` one of
    /// its answer.
    fn filled(&self, text: &str, number: u64) -> Result<String, String> {
        let mut text = numbered(text, number);
        while let Some(from) = text.find('{') {
            let end = text[from..].find('}').map(|end| from + end);
            let value = end.and_then(|end| self.referred(&text[from + 1..end]));
            let (Some(end), Some(value)) = (end, value) else {
                return Err(format!("{text:?} refers to nothing that was sent"));
            };
            text.replace_range(from..=end, &value);
        }
        Ok(text)
    }

    fn referred(&self, path: &str) -> Option<String> {
        let (path, de) = path.rsplit_once('.')?;
        let asked = self.named.get(path.trim_end_matches(".answer"))?;
        let message =
            if path.ends_with(".answer") { asked.answer.as_ref()? } else { &asked.message };
        message.fields.get(&de.parse().ok()?).cloned()
    }
}

/// Whether a value can be written at all; whether it makes sense is the switch's to say.
fn fits(de: u8, value: &str) -> bool {
    let (size, is_hex) = (value.len(), value.bytes().all(|byte| byte.is_ascii_hexdigit()));
    match (width_of(de), message::content(de)) {
        (Width::Fixed(_), message::Content::Digits(digits)) => {
            size <= digits && value.bytes().all(|byte| byte.is_ascii_digit())
        }
        (Width::Fixed(width), message::Content::Bytes) => size == 2 * width && is_hex,
        (Width::Fixed(width), message::Content::Text) => size == width,
        (Width::LlDigits, _) => size <= 99 && is_hex,
        (Width::LlBytes, _) => size <= 99,
        (Width::LllBytes, message::Content::Bytes) => size % 2 == 0 && size <= 1_998 && is_hex,
        (Width::LllBytes, _) => size <= 999,
    }
}

/// DE 90 about this message: MTI, STAN, DE 7, acquirer and forwarder.
fn original(message: &Message) -> String {
    let (mti, stan, sent) = (message.mti_text(), message.of(11), message.of(7));
    format!("{mti}{stan:0>6}{sent:0>10}{:0>11}{:0>11}", message.of(32), message.of(33))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn composed(composer: &mut Composer, template: Template, number: u64) -> Message {
        composer.compose(&Content::Fresh(template), number).unwrap()
    }

    #[test]
    fn messages_differ_and_refer_to_each_other() {
        let mut composer = Composer::default();
        let fields = [(4, "000000000100"), (42, "SHOP-{n:2}")];
        let fields = fields.map(|(de, value)| (de, value.to_owned())).into();
        let code = Some("62123".to_owned());
        let sale = Template { mti: 0x0200, fields, code, absent: vec![25], ..Template::default() };
        let first = composed(&mut composer, sale.clone(), 7);
        let second = composed(&mut composer, sale.clone(), 8);
        assert_eq!((first.of(11), second.of(11)), ("000001", "000002"));
        assert_eq!((first.of(42), first.of(59)), ("SHOP-07        ", "A300562123"));
        assert_eq!((first.of(22), first.of(25)), ("031", ""));
        let answer = Some(first.answer("00").with(38, "ABC123"));
        let asked = Asked { connection: 0, at_ns: 0, message: first.clone(), answer };
        composer.remember("sale", Some(asked));
        let again = Content::Again("sale".to_owned(), Some(0x0201));
        let again = composer.compose(&again, 1).unwrap();
        assert_eq!((again.mti, &again.fields), (0x0201, &first.fields));
        let fields = [(37, "{sale.37}"), (38, "{sale.answer.38}")];
        let fields = fields.map(|(de, value)| (de, value.to_owned())).into();
        let original = Some("sale".to_owned());
        let void = Template { mti: 0x0400, fields, original, ..Template::default() };
        let void = composed(&mut composer, void, 1);
        assert_eq!((void.of(37), void.of(38)), (first.of(37), "ABC123"));
        assert_eq!(void.of(90), format!("0200000001{}{}", first.of(7), "0".repeat(22)));
        let fields = [(4, "1234567890123".to_owned())].into();
        let wide = Template { fields, ..Template::default() };
        let error = composer.compose(&Content::Fresh(wide), 1).unwrap_err();
        assert_eq!(error, "\"1234567890123\" is no value of DE 4");
        let wrong = Template { code: Some("{sale.99}".to_owned()), ..Template::default() };
        assert!(composer.compose(&Content::Fresh(wrong), 1).is_err());
    }
}

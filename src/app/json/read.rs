//! A line of JSON to the bytes of a message.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::{gbk, mask, read_hex};
use crate::base::limits;
use crate::iso8583::decode::Index;
use crate::iso8583::dialect::Dialect;
use crate::iso8583::encode;
use crate::iso8583::error::{DecodeError, Reason};
use crate::iso8583::field::{Content, Field};
use crate::iso8583::mti::Mti;
use crate::iso8583::value::{self, Form};

/// Why a line became no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Where and what; the offset is where the element would have stood.
    pub error: DecodeError,
    /// The same for people, perhaps with more to it.
    pub sentence: String,
    /// The MTI, if that much was understood.
    pub mti: Option<Mti>,
}

impl Refusal {
    /// A refusal of the line as a whole.
    pub fn of_line(offset: usize, sentence: String) -> Self {
        let error =
            DecodeError { field: 0, offset: offset as u32, need: 0, have: 0, reason: Reason::Size };
        Self { error, sentence, mti: None }
    }
}

/// Encodes one line of JSON, appending header and message, without frame, to `out`. What is
/// written is decoded again: nothing leaves that the dialect would not accept.
///
/// # Errors
///
/// What is wrong with the line; nothing is then appended.
pub fn encode(
    dialect: &Dialect,
    line: &[u8],
    index: &mut Index,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let start = out.len();
    let result = encode_line(dialect, line, index, out);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn encode_line(
    dialect: &Dialect,
    line: &[u8],
    index: &mut Index,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let plain: Plain<'_> = serde_json::from_slice(line).map_err(|error| {
        // The parser's own words quote the line, and the line may hold card data.
        let why = if error.is_data() {
            "mti, header and fields are strings, and so is every value; elements are numbers from 2"
        } else {
            "it is not JSON"
        };
        Refusal::of_line(0, format!("not a message, at column {}: {why}", error.column()))
    })?;
    let Some(mti) = Mti::from_ascii(plain.mti.as_bytes()) else {
        return Err(Refusal::of_line(0, Reason::Mti.text().to_owned()));
    };
    let header = header(dialect, plain.header.as_deref(), mti)?;
    let mut values = Vec::with_capacity(plain.fields.0.len());
    for (element, text) in &plain.fields.0 {
        let field = dialect.field(*element);
        let neutral = neutral(*element, field, text).map_err(|(reason, sentence)| {
            let have = text.chars().count() as u32;
            let error = DecodeError { field: *element, offset: 0, need: 0, have, reason };
            Refusal { error, sentence: sentence.to_owned(), mti: Some(mti) }
        })?;
        values.push((*element, neutral));
    }
    let refusal = |error: DecodeError| Refusal {
        error,
        sentence: error.reason.text().into(),
        mti: Some(mti),
    };
    let start = out.len();
    encode::encode(dialect, &header, mti, &values, out)
        .map_err(|error| refusal(DecodeError { offset: error.offset - start as u32, ..error }))?;
    dialect.decode(out.get(start..).unwrap_or(&[]), index).map_err(refusal)
}

fn header(dialect: &Dialect, given: Option<&str>, mti: Mti) -> Result<Vec<u8>, Refusal> {
    let mut header = Vec::new();
    let Some(text) = given else {
        encode::template_header(dialect, &mut header);
        return Ok(header);
    };
    let error = |reason, sentence: String, have: usize| Refusal {
        error: DecodeError {
            field: 0,
            offset: 0,
            need: dialect.header_bytes as u32,
            have: have as u32,
            reason,
        },
        sentence,
        mti: Some(mti),
    };
    if let Err(place) = read_hex(text.as_bytes(), &mut header) {
        let sentence = format!("the header is not hexadecimal at character {place}");
        return Err(error(Reason::HexDigit, sentence, text.len() / 2));
    }
    if header.len() != dialect.header_bytes {
        let sentence = format!("the header of {} has another size", dialect.name());
        return Err(error(Reason::Header, sentence, header.len()));
    }
    Ok(header)
}

/// The neutral form of a value from its notation.
fn neutral(element: u8, field: &Field, text: &str) -> Result<Vec<u8>, (Reason, &'static str)> {
    if mask::is_masked(element, field, text) {
        return Err((Reason::Character, MASKED));
    }
    let plain = |reason: Reason| (reason, reason.text());
    match (value::form(field.content), field.content) {
        (Form::Bytes, _) => {
            let mut bytes = Vec::with_capacity(text.len() / 2);
            read_hex(text.as_bytes(), &mut bytes).map_err(|_| plain(Reason::HexDigit))?;
            Ok(bytes)
        }
        (Form::Text, Content::Gbk) => gbk::bytes(text).ok_or(plain(Reason::Character)),
        (Form::Text, _) => {
            let byte = |c| u8::try_from(u32::from(c)).map_err(|_| plain(Reason::Character));
            text.chars().map(byte).collect()
        }
    }
}

const MASKED: &str = "the value is masked: decode with --reveal to get one that can be encoded";

/// A message as the line says it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain<'a> {
    #[serde(borrow)]
    mti: Cow<'a, str>,
    #[serde(borrow)]
    header: Option<Cow<'a, str>>,
    #[serde(borrow)]
    fields: Fields<'a>,
}

/// Elements in ascending order, each once.
struct Fields<'a>(Vec<(u8, Cow<'a, str>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Ascending).map(Fields)
    }
}

struct Ascending;

impl<'de> Visitor<'de> for Ascending {
    type Value = Vec<(u8, Cow<'de, str>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("elements by number, each with a value in quotes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields: Self::Value = Vec::new();
        while let Some((key, text)) = map.next_entry::<Text<'de>, Text<'de>>()? {
            // One way to write each number: no sign, no zero in front.
            let plain = matches!(key.0.as_bytes(), [b'1'..=b'9', ..]);
            let number = key.0.parse().ok().filter(|n| (2..=limits::ELEMENTS_MAX).contains(n));
            let Some(number) = number.filter(|_| plain) else {
                return Err(A::Error::custom(format_args!("{:?} is no element", key.0)));
            };
            let element = number as u8;
            match fields.binary_search_by_key(&element, |(element, _)| *element) {
                Ok(_) => return Err(A::Error::custom(format_args!("DE {element} comes twice"))),
                Err(place) => fields.insert(place, (element, text.0)),
            }
        }
        Ok(fields)
    }
}

/// A string, borrowed from the line where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

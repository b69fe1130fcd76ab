//! Messages as people write them, to bytes and back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use authswitch::app::dialect_file;
use authswitch::iso8583::bitmap::Bitmap;
use authswitch::iso8583::decode::Index;
use authswitch::iso8583::dialect::Dialect;
use authswitch::iso8583::encode::{Composer, template_header};
use authswitch::iso8583::frame::{self, Cut};
use authswitch::iso8583::message::Message;
use authswitch::iso8583::mti::Mti;
use authswitch::iso8583::value;

/// What an answer repeats of its request.
pub(crate) const ECHOED: [u8; 7] = [3, 4, 7, 11, 37, 41, 42];

/// A message as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plain {
    pub(crate) mti: String,
    pub(crate) fields: Vec<(u8, String)>,
}

impl Plain {
    pub(crate) fn new(mti: &str, fields: &[(u8, &str)]) -> Self {
        let fields = fields.iter().map(|(element, value)| (*element, (*value).to_owned()));
        Self { mti: mti.into(), fields: fields.collect() }
    }

    pub(crate) fn of(&self, element: u8) -> Option<&str> {
        self.fields.iter().find(|(e, _)| *e == element).map(|(_, value)| value.as_str())
    }

    /// A request or advice to take something back.
    pub(crate) fn is_reversal(&self) -> bool {
        ["0400", "0401", "0420", "0421"].contains(&self.mti.as_str())
    }

    pub(crate) fn code(&self) -> &str {
        self.of(39).unwrap_or("none")
    }

    pub(crate) fn with(mut self, element: u8, value: &str) -> Self {
        self = self.without(element);
        self.fields.push((element, value.into()));
        self.fields.sort_by_key(|(e, _)| *e);
        self
    }

    pub(crate) fn without(mut self, element: u8) -> Self {
        self.fields.retain(|(e, _)| *e != element);
        self
    }

    /// Checks that this answers `request` with `code`, and nothing else's request.
    #[track_caller]
    pub(crate) fn answers(&self, request: &Self, code: &str) {
        let mti = Mti::from_ascii(request.mti.as_bytes()).expect("digits");
        let expected = mti.response().expect("a request").to_string();
        assert_eq!((self.mti.as_str(), self.code()), (expected.as_str(), code), "{self:?}");
        for element in ECHOED {
            let (asked, said) = (request.of(element), self.of(element));
            assert_eq!(said, asked, "DE {element} of {self:?}");
        }
    }
}

pub(crate) fn dialect(name_or_path: &str) -> Arc<Dialect> {
    let spec = dialect_file::load(name_or_path, None).expect("the dialect loads");
    Arc::new(Dialect::compile(spec))
}

pub(crate) fn sale(stan: u32) -> Plain {
    Plain::new(
        "0200",
        &[
            (2, "4761340000000019"),
            (3, "000000"),
            (4, "000000001250"),
            (7, "1122021245"),
            (11, &format!("{stan:06}")),
            (22, "051"),
            (25, "00"),
            (37, &format!("{:012}", 600_000 + u64::from(stan))),
            (41, "TERM0001"),
            (42, "MERCHANT0000001"),
            (49, "156"),
        ],
    )
}

/// A sale that was never asked before, for who asks until there is an answer.
pub(crate) fn probe() -> Plain {
    static NEXT: AtomicU32 = AtomicU32::new(900_000);
    sale(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A network management request.
pub(crate) fn management(stan: u32, code: &str) -> Plain {
    Plain::new("0800", &[(7, "1122021245"), (11, &format!("{stan:06}")), (70, code)])
}

/// The answer of a partner, who repeats what it was told but not the card.
pub(crate) fn answer_to(request: &Plain, code: &str) -> Plain {
    let mti = Mti::from_ascii(request.mti.as_bytes()).expect("digits");
    let mut answer = request.clone();
    answer.fields.retain(|(element, _)| ![2, 22, 25, 35, 52, 55].contains(element));
    answer.mti = mti.response().expect("a request").to_string();
    answer.with(39, code)
}

/// Frames a message, with the dialect's own header.
pub(crate) fn framed(dialect: &Dialect, message: &Plain) -> Vec<u8> {
    let mut out = Vec::new();
    let elements: Bitmap = message.fields.iter().map(|(element, _)| *element).collect();
    let mti = Mti::from_ascii(message.mti.as_bytes()).expect("four digits");
    let header = |out: &mut Vec<u8>| template_header(dialect, out);
    let mut composer = Composer::begin(dialect, &mut out, header, mti, &elements);
    for (element, text) in &message.fields {
        let neutral = match value::form(dialect.field(*element).content) {
            value::Form::Text => text.as_bytes().to_vec(),
            value::Form::Bytes => bytes(text),
        };
        composer.value(*element, &neutral).unwrap_or_else(|reason| {
            panic!("DE {element}: {}", reason.text());
        });
    }
    composer.finish().expect("fits");
    out
}

/// Bytes from hexadecimal digits; blanks do not count.
pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex");
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// Takes the first message off `buffer`, if it is whole.
pub(crate) fn take(dialect: &Dialect, buffer: &mut Vec<u8>) -> Option<Plain> {
    let Cut::Frame { start, end, next } = frame::cut(&dialect.spec.framing, buffer) else {
        return None;
    };
    let mut index = Index::default();
    let body = &buffer[start..end];
    dialect.decode(body, &mut index).expect("what the switch sends is sound");
    let message = Message { bytes: body, index: &index, dialect };
    let mut fields = Vec::new();
    for element in message.present().iter() {
        let field = dialect.field(element);
        let mut neutral = Vec::new();
        let units = index.span(element).expect("present").units;
        value::read(field, message.value(element).expect("present"), units, &mut neutral);
        let text = match value::form(field.content) {
            value::Form::Text => String::from_utf8_lossy(&neutral).into_owned(),
            value::Form::Bytes => neutral.iter().map(|b| format!("{b:02X}")).collect(),
        };
        fields.push((element, text));
    }
    let plain = Plain { mti: message.mti().to_string(), fields };
    buffer.drain(..next);
    Some(plain)
}

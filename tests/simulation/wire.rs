//! The actors' own pos-bcd: what a terminal maker or a host would have written, and wrote. Nothing
//! of it is the switch's, so a mistake of the switch's codec is not repeated here.

/// A message, its elements in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Message {
    /// As four hexadecimal digits: 0x0200.
    pub(crate) mti: u16,
    pub(crate) tpdu: [u8; 5],
    pub(crate) elements: Vec<(u8, String)>,
}

#[derive(Clone, Copy)]
enum Form {
    /// So many digits, packed.
    Digits(usize),
    /// So many characters.
    Text(usize),
    /// Packed digits behind a length of two.
    LongDigits,
    /// Characters behind a length of three.
    LongText,
}

fn form(element: u8) -> Option<Form> {
    Some(match element {
        2 | 32 => Form::LongDigits,
        3 | 11 => Form::Digits(6),
        4 => Form::Digits(12),
        7 => Form::Digits(10),
        22 | 70 => Form::Digits(3),
        25 => Form::Digits(2),
        37 => Form::Text(12),
        38 => Form::Text(6),
        39 => Form::Text(2),
        41 => Form::Text(8),
        42 => Form::Text(15),
        48 => Form::LongText,
        49 => Form::Text(3),
        90 => Form::Digits(42),
        _ => return None,
    })
}

impl Message {
    pub(crate) fn new(mti: u16) -> Self {
        Self { mti, tpdu: [0x60, 0, 0x11, 0, 0x22], elements: Vec::new() }
    }

    pub(crate) fn of(&self, element: u8) -> &str {
        let found = self.elements.iter().find(|(other, _)| *other == element);
        found.map_or("", |(_, text)| text)
    }

    pub(crate) fn number(&self, element: u8) -> u64 {
        self.of(element).parse().unwrap_or(0)
    }

    pub(crate) fn set(&mut self, element: u8, text: impl Into<String>) -> &mut Self {
        self.elements.retain(|(other, _)| *other != element);
        self.elements.push((element, text.into()));
        self.elements.sort_by_key(|(element, _)| *element);
        self
    }

    pub(crate) fn unset(&mut self, element: u8) {
        self.elements.retain(|(other, _)| *other != element);
    }

    /// The transaction it is about: DE 37, which no two transactions share.
    pub(crate) fn sale(&self) -> u64 {
        self.number(37)
    }

    pub(crate) fn approves(&self) -> bool {
        matches!(self.of(39), "00" | "10")
    }

    pub(crate) const fn is_response(&self) -> bool {
        self.mti >> 4 & 1 == 1
    }

    pub(crate) const fn is_advice(&self) -> bool {
        self.mti >> 4 & 15 == 2 && self.class() < 4
    }

    /// It asks what became of another.
    pub(crate) fn is_inquiry(&self) -> bool {
        self.class() < 4 && self.of(3).starts_with("31") && !self.of(90).is_empty()
    }

    /// It asks whose a card is.
    pub(crate) fn is_consult(&self) -> bool {
        self.class() < 4 && self.of(3).starts_with("31") && self.of(90).is_empty()
    }

    /// The answer's MTI: that of the original, whichever copy it answers.
    pub(crate) const fn answer_mti(&self) -> u16 {
        (self.mti & 0xFFFE) + 0x10
    }

    pub(crate) const fn class(&self) -> u16 {
        self.mti >> 8
    }

    /// The answer that repeats everything but account data.
    pub(crate) fn answer(&self, code: &str) -> Self {
        let mut answer = Self { mti: self.answer_mti(), ..self.clone() };
        let [id, to1, to2, from1, from2] = self.tpdu;
        answer.tpdu = [id, from1, from2, to1, to2];
        for element in [2, 22, 25] {
            answer.unset(element);
        }
        answer.set(39, code);
        answer
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = self.tpdu.to_vec();
        body.extend(self.mti.to_be_bytes());
        let long = self.elements.iter().any(|(element, _)| *element > 64);
        let mut bitmap = [0u8; 16];
        for (element, _) in &self.elements {
            let at = usize::from(*element) - 1;
            bitmap[at / 8] |= 0x80 >> (at % 8);
        }
        if long {
            bitmap[0] |= 0x80;
        }
        body.extend(&bitmap[..if long { 16 } else { 8 }]);
        for (element, text) in &self.elements {
            match form(*element).expect("an element the actors use") {
                Form::Digits(count) => pack(&format!("{text:0>count$}"), false, &mut body),
                Form::Text(count) => body.extend(format!("{text:<count$}").bytes()),
                Form::LongDigits => {
                    pack(&format!("{:02}", text.len()), false, &mut body);
                    pack(text, true, &mut body);
                }
                Form::LongText => {
                    pack(&format!("{:03}", text.len()), false, &mut body);
                    body.extend(text.bytes());
                }
            }
        }
        let mut frame = (body.len() as u16).to_be_bytes().to_vec();
        frame.extend(body);
        frame
    }

    /// The first message in `bytes` and the bytes it takes; `Ok(None)` if there is no whole frame.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, String> {
        let Some(end) = frame_bytes(bytes) else { return Ok(None) };
        let mut rest = Rest(&bytes[2..end]);
        let tpdu = rest.take(5)?.try_into().expect("five bytes");
        let mti = u16::from_be_bytes(rest.take(2)?.try_into().expect("two bytes"));
        let mut bitmap = rest.take(8)?.to_vec();
        if bitmap[0] & 0x80 != 0 {
            bitmap.extend(rest.take(8)?);
        }
        let mut message = Self { mti, tpdu, elements: Vec::with_capacity(16) };
        for element in 2..=(bitmap.len() * 8) as u8 {
            let at = usize::from(element) - 1;
            if bitmap[at / 8] & 0x80 >> (at % 8) == 0 || at == 64 {
                continue;
            }
            let form = form(element).ok_or_else(|| format!("element {element} is nobody's"))?;
            let text = match form {
                Form::Digits(count) => rest.digits(count, false)?,
                Form::Text(count) => rest.text(count)?,
                Form::LongDigits => {
                    let count = rest.digits(2, false)?.parse().expect("digits");
                    rest.digits(count, true)?
                }
                Form::LongText => {
                    let count = rest.digits(3, false)?.parse().expect("digits");
                    rest.text(count)?
                }
            };
            message.elements.push((element, text));
        }
        if rest.0.is_empty() { Ok(Some((message, end))) } else { Err("bytes are left".into()) }
    }
}

/// The bytes of the first frame, if all of them are there.
pub(crate) fn frame_bytes(bytes: &[u8]) -> Option<usize> {
    let end = usize::from(u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?])) + 2;
    (bytes.len() >= end).then_some(end)
}

fn pack(digits: &str, filler_behind: bool, out: &mut Vec<u8>) {
    let mut nibbles: Vec<u8> = digits.bytes().map(|digit| digit - b'0').collect();
    if !nibbles.len().is_multiple_of(2) {
        nibbles.insert(if filler_behind { nibbles.len() } else { 0 }, 0);
    }
    out.extend(nibbles.chunks(2).map(|pair| pair[0] << 4 | pair[1]));
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("too short")?;
        self.0 = rest;
        Ok(taken)
    }

    fn text(&mut self, count: usize) -> Result<String, String> {
        Ok(String::from_utf8_lossy(self.take(count)?).into_owned())
    }

    fn digits(&mut self, count: usize, filler_behind: bool) -> Result<String, String> {
        let packed = self.take(count.div_ceil(2))?;
        let skip = usize::from(count % 2 == 1 && !filler_behind);
        let nibbles = packed.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let digits: String =
            nibbles.skip(skip).take(count).map(|nibble| char::from(b'0' + nibble)).collect();
        if digits.bytes().all(|digit| digit.is_ascii_digit()) {
            Ok(digits)
        } else {
            Err(format!("{digits} are no digits"))
        }
    }
}

#[test]
fn what_is_written_is_read() {
    let mut message = Message::new(0x0420);
    message.set(2, "4761340000000019").set(3, "000000").set(4, "000000001250");
    message.set(22, "051").set(37, "000000000007").set(48, "canary").set(90, "7".repeat(42));
    let bytes = message.encode();
    assert_eq!(Message::decode(&bytes), Ok(Some((message, bytes.len()))));
    assert_eq!(Message::decode(&bytes[..bytes.len() - 1]), Ok(None));
}

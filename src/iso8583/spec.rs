//! What a dialect file says, as plain data: one value per axis, no class per combination.
//!
//! This is not what messages are decoded with: [`super::dialect::Dialect`] is compiled from it.
//! Reading the file itself (TOML, line numbers, inheritance) belongs to the top floor, so that
//! this floor needs no parser; a test can build a `Spec` by hand.

use std::collections::BTreeMap;

use crate::base::codes::Edition;
use crate::base::pan::Secrecy;

/// A whole dialect.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spec {
    /// Name, equal to the file's stem.
    pub name: String,
    /// One sentence for people.
    pub about: String,
    /// Edition of ISO 8583 the MTIs must name; `None` accepts any.
    pub edition: Option<Edition>,
    /// How frames are cut from the stream.
    pub framing: Framing,
    /// What stands between the length and the MTI.
    pub header: HeaderSpec,
    /// How the four MTI digits are written.
    pub mti: Wire,
    /// How bitmaps are written.
    pub bitmap: BitmapSpec,
    /// What bytes of ASCII text may be.
    pub charset: Charset,
    /// Code page of EBCDIC text.
    pub code_page: CodePage,
    /// Data elements 2 to 192.
    pub fields: BTreeMap<u8, FieldSpec>,
    /// Inner structures that fields refer to by name.
    pub composites: BTreeMap<String, CompositeSpec>,
    /// Elements that must be equal in a request and its answer, by MTI of the request as four
    /// digits, or "default".
    pub match_keys: BTreeMap<String, Vec<u8>>,
    /// Elements of a request that an answer made by the switch repeats, by MTI or "default".
    pub echo: BTreeMap<String, Vec<u8>>,
    /// What must be present, by MTI of the request or "default".
    pub presence: BTreeMap<String, Presence>,
    /// Where a reversal names its original.
    pub original: OriginalSpec,
    /// Where a scanned payment code stands, and what says that one was scanned.
    pub scan: ScanSpec,
    /// Elements that carry a MAC, which forwarding must not copy (64, 128).
    pub mac: Vec<u8>,
    /// Messages that this dialect must decode and encode to the same bytes.
    pub vectors: Vec<VectorSpec>,
}

/// Presence rules of one MTI.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Presence {
    /// Absent means DE 39 = 30.
    pub mandatory: Vec<u8>,
    /// Needed in some cases that the partner's text describes; not enforced.
    pub conditional: Vec<u8>,
    /// Allowed; not enforced.
    pub optional: Vec<u8>,
    /// Must not appear: DE 39 = 30.
    pub forbidden: Vec<u8>,
}

/// DE 90 (1987) or DE 56 (1993): the parts of the original's key, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginalSpec {
    /// The element that carries it.
    pub element: u8,
    /// Source element and digits of each part; element 0 is the MTI.
    pub parts: Vec<(u8, u8)>,
}

impl Default for OriginalSpec {
    /// DE 90, n42: MTI 4, STAN 6, DE 7 10, DE 32 11, DE 33 11 (ISO 8583:1987).
    fn default() -> Self {
        Self { element: 90, parts: vec![(0, 4), (11, 6), (7, 10), (32, 11), (33, 11)] }
    }
}

/// Scanned payment codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanSpec {
    /// First two digits of DE 22 that say that a code was scanned, 0 to 99.
    pub entry_modes: Vec<u8>,
    /// Where it may stand: the element and, if that has an inner structure, a tag or the name of a
    /// part. The first place that is there counts.
    pub places: Vec<(u8, Option<String>)>,
}

impl Default for ScanSpec {
    /// DE 22 = 03x, a bar code; tag A3 of DE 59 (terminals of Chinese make), else DE 2, else DE 35
    /// (those of Thai banks).
    fn default() -> Self {
        Self { entry_modes: vec![3], places: vec![(59, Some("A3".into())), (2, None), (35, None)] }
    }
}

/// A message the dialect must carry, with where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VectorSpec {
    /// A name.
    pub id: String,
    /// Where the message was published.
    pub source: String,
    /// Licence of the source.
    pub license: String,
    /// Header and message, without the length, as hex.
    pub hex: String,
}

/// Framing of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Framing {
    /// How the length is written.
    pub length: FrameLength,
    /// Bytes of the length itself.
    pub size: u8,
    /// True if the length counts its own bytes too.
    pub counts_itself: bool,
    /// Constant bytes before the length (`D0 4A`, `00 00`).
    pub before: Vec<u8>,
    /// Constant bytes after the length (`00 00`), not counted by it.
    pub after: Vec<u8>,
    /// Constant bytes at the end of the frame (ETX), counted by the length if there is one.
    pub trailer: Vec<u8>,
    /// True if a zero length is a keep-alive; else it closes the connection.
    pub keepalive: bool,
}

impl Default for Framing {
    fn default() -> Self {
        Self {
            length: FrameLength::Binary,
            size: 2,
            counts_itself: false,
            before: Vec::new(),
            after: Vec::new(),
            trailer: Vec::new(),
            keepalive: false,
        }
    }
}

/// How a frame length is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameLength {
    /// Big-endian, 2 to 4 bytes.
    Binary,
    /// Packed decimal digits.
    Bcd,
    /// ASCII decimal digits.
    Ascii,
    /// ASCII hexadecimal digits.
    Hex,
    /// No length: the frame ends at the trailer.
    None,
}

/// What stands before the MTI.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderSpec {
    /// Kind of header.
    pub kind: HeaderKind,
    /// Bytes.
    pub size: u8,
    /// What the switch writes when it starts a message itself; zeros if empty.
    pub template: Vec<u8>,
    /// Bytes the header must begin with (a TPDU's `60`); anything if empty.
    pub begins: Vec<u8>,
}

/// Kind of header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HeaderKind {
    /// None.
    #[default]
    None,
    /// A TPDU of five bytes (id, destination, source) whose addresses are swapped in the answer;
    /// bytes behind it, if any, are repeated.
    Tpdu,
    /// Bytes repeated in the answer.
    Opaque,
}

/// How characters, digits or bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wire {
    /// ASCII characters.
    #[default]
    Ascii,
    /// EBCDIC characters in the dialect's code page.
    Ebcdic,
    /// Two digits per byte.
    Bcd,
    /// Raw bytes.
    Binary,
    /// Bytes as ASCII hexadecimal characters.
    Hex,
    /// Bytes as EBCDIC hexadecimal characters.
    HexEbcdic,
}

/// Bitmaps of a dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BitmapSpec {
    /// Binary, Hex or HexEbcdic.
    pub wire: Wire,
    /// True if 128 bits are always written and bit 1 stays clear (a real library writes that).
    pub always_128: bool,
}

/// What bytes of ASCII text may be, unless the field's class says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Charset {
    /// 7-bit.
    #[default]
    Ascii,
    /// Any byte, shown as ISO 8859-1.
    Latin1,
    /// Any byte, shown as GBK (China UnionPay merchant names).
    Gbk,
}

/// EBCDIC code pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CodePage {
    /// International (Visa, Mastercard).
    #[default]
    Cp500,
    /// US and Canada.
    Cp037,
    /// Open systems (French CB).
    Cp1047,
}

/// One data element.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldSpec {
    /// How it is written.
    pub wire: Wire,
    /// Fixed or variable.
    pub extent: Extent,
    /// What characters it may hold; `None` accepts what the wire form can carry.
    pub class: Option<Class>,
    /// Odd BCD: where the filler nibble stands and what is written.
    pub pad: Pad,
    /// Filler nibbles accepted beside the one written.
    pub accepts: Vec<u8>,
    /// What must not be shown; `None` takes the default of the element.
    pub secret: Option<Secrecy>,
    /// Name of the inner structure.
    pub inner: Option<String>,
}

/// Fixed or variable size, in units of the wire form: characters, BCD digits or bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Exactly so many units.
    Fixed(u16),
    /// A length, then up to `max` units.
    Variable {
        /// Most units.
        max: u32,
        /// How the length is written.
        length: LengthWire,
        /// Digits of the length (BCD, ASCII, EBCDIC) or bytes of it (binary).
        size: u8,
        /// What the length counts.
        counts: Counts,
    },
}

impl Default for Extent {
    fn default() -> Self {
        Self::Fixed(0)
    }
}

/// How the length of a variable element is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LengthWire {
    /// ASCII digits.
    Ascii,
    /// EBCDIC digits.
    Ebcdic,
    /// Packed digits, `ceil(size / 2)` bytes.
    Bcd,
    /// Big-endian bytes.
    Binary,
}

/// What the length of a variable element counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Counts {
    /// Units of the value: characters, BCD digits, bytes.
    #[default]
    Units,
    /// Bytes on the wire (BCD and hex content only differ from units).
    Bytes,
}

/// Content classes of ISO 8583.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Digits.
    N,
    /// Letters and space.
    A,
    /// Letters, digits and space.
    An,
    /// Printable characters.
    Ans,
    /// Track data: digits, separator `=` or `D`, filler.
    Z,
    /// Sign C or D (0 is seen too), then digits. The size counts the sign: x+n 8 is nine.
    XN,
    /// A bitmap that extends the message (DE 65 as third bitmap).
    Bitmap,
}

/// Filler of an odd BCD element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pad {
    /// Where it stands.
    pub side: Side,
    /// 0 to 15; what the switch writes.
    pub nibble: u8,
}

impl Default for Pad {
    fn default() -> Self {
        Self { side: Side::Left, nibble: 0 }
    }
}

/// Side of a filler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Before the first digit.
    Left,
    /// After the last digit.
    Right,
}

/// The inner structure of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompositeSpec {
    /// EMV BER-TLV.
    BerTlv {
        /// Deepest nesting of templates.
        depth_max: u8,
        /// Most tags.
        tags_max: u8,
        /// What to do with tags that `tags` does not list; an empty list knows every tag.
        unknown: Unknown,
        /// Known tags.
        tags: Vec<u32>,
    },
    /// Text tag, text length, value (China UnionPay DE 59: 2 + 3).
    Tlv {
        /// Characters of the tag.
        tag_size: u8,
        /// Digits of the length.
        length_size: u8,
        /// ASCII or EBCDIC or BCD.
        wire: Wire,
        /// What to do with tags that `tags` does not list; an empty list knows every tag.
        unknown: Unknown,
        /// Known tags.
        tags: Vec<String>,
    },
    /// Length, tag, value; the length counts tag and value.
    Ltv {
        /// Bytes of the length, packed digits if `wire` is BCD.
        length_size: u8,
        /// Bytes of the tag.
        tag_size: u8,
        /// ASCII, BCD or binary.
        wire: Wire,
        /// What to do with tags that are not listed; an empty list knows every tag.
        unknown: Unknown,
        /// Known tags.
        tags: Vec<String>,
    },
    /// Parts of fixed size, by position: name and bytes. Parts from the end may be missing.
    Positional {
        /// Names and sizes in bytes.
        parts: Vec<(String, u16)>,
    },
    /// A bitmap and the fields it names (Postilion DE 127, Visa DE 62).
    Bitmap {
        /// How the bitmap is written.
        wire: Wire,
        /// Bits, a multiple of 8.
        bits: u8,
        /// Fields by bit.
        fields: BTreeMap<u8, FieldSpec>,
    },
}

/// What to do with a tag that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unknown {
    /// Keep it, byte for byte, and count it.
    #[default]
    Keep,
    /// Leave it out when the element is rewritten, and count it.
    Drop,
    /// DE 39 = 30.
    Reject,
}

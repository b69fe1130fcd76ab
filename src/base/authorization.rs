//! The facts of a request, as routing and risk see them: parsed, small, without bytes.

use crate::base::ids::LinkId;
use crate::base::money::Amount;

/// What a request asks, reduced to what decisions need.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Authorization {
    /// What is asked.
    pub kind: Kind,
    /// DE 4 and DE 49.
    pub amount: Amount,
    /// The card number or scanned code that pays, as a lookup key.
    pub instrument: Option<Instrument>,
    /// DE 42, space padded; all zero if the message named no merchant.
    pub merchant: [u8; 15],
    /// DE 41, space padded; all zero if the message named no terminal.
    pub terminal: [u8; 8],
    /// DE 32, acquiring institution, as a number; 0 if absent.
    pub acquirer: u64,
    /// DE 18, merchant category code, 0 if absent.
    pub mcc: u16,
    /// DE 22, POS entry mode, 0 if absent.
    pub entry_mode: u16,
    /// The link that it came over; `None` if nobody in particular asks.
    pub link: Option<LinkId>,
}

/// What a request asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Kind {
    /// Goods, services or cash back, asked and paid at once: DE 3 = 00xxxx, 09xxxx.
    Purchase,
    /// An amount is held for later: a hotel, a car. See [`Asked::preauthorizes`].
    PreAuthorization,
    /// What was held is taken, in whole or in part: the advice that follows, or a request (0200)
    /// with DE 25 = 06.
    Completion,
    /// A purchase at a gate or in a bus: DE 22 = 03x and a category of public transport.
    Fare,
    /// DE 3 = 02xxxx.
    Void,
    /// DE 3 = 20xxxx, and 22xxxx: a credit that corrects a sale gives back as a refund does.
    Refund,
    /// DE 3 = 30xxxx, 31xxxx.
    Inquiry,
    /// DE 3 = 26xxxx, 40xxxx.
    Transfer,
    /// Cash, deposit, fee, bill payment, private codes.
    #[default]
    Other,
}

/// What of a message says which [`Kind`] it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asked {
    /// Second digit of the MTI: 1 authorization, 2 financial.
    pub class: u8,
    /// True for an advice (x120, x220): it happened already.
    pub advice: bool,
    /// First two digits of DE 3.
    pub processing_code: u8,
    /// DE 25, point of service condition, 0 if absent.
    pub condition: u8,
    /// DE 18, merchant category code, 0 if absent.
    pub mcc: u16,
    /// DE 22, POS entry mode, 0 if absent.
    pub entry_mode: u16,
}

impl Kind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Purchase,
        Self::PreAuthorization,
        Self::Completion,
        Self::Fare,
        Self::Void,
        Self::Refund,
        Self::Inquiry,
        Self::Transfer,
        Self::Other,
    ];

    /// The kind named by the first two digits of DE 3 alone.
    pub const fn from_processing_code(kind: u8) -> Self {
        match kind {
            0 | 9 => Self::Purchase,
            2 => Self::Void,
            20 | 22 => Self::Refund,
            30 | 31 => Self::Inquiry,
            26 | 40 => Self::Transfer,
            _ => Self::Other,
        }
    }

    /// The kind of a message. DE 3 decides; among purchases, whether the amount is only held, and
    /// where it is paid.
    pub const fn of(asked: &Asked) -> Self {
        match Self::from_processing_code(asked.processing_code) {
            Self::Purchase if asked.preauthorizes() => match (asked.class, asked.advice) {
                (1, false) => Self::PreAuthorization,
                (2, true) => Self::Completion,
                (2, false) if asked.condition == 6 => Self::Completion,
                _ => Self::Purchase,
            },
            Self::Purchase if asked.is_at_a_gate() => Self::Fare,
            Self::Other if asked.processing_code == HOLD && !asked.advice => Self::PreAuthorization,
            kind => kind,
        }
    }

    /// The name of the kind in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Purchase => "purchase",
            Self::PreAuthorization => "pre-authorization",
            Self::Completion => "completion",
            Self::Fare => "fare",
            Self::Void => "void",
            Self::Refund => "refund",
            Self::Inquiry => "inquiry",
            Self::Transfer => "transfer",
            Self::Other => "other",
        }
    }
}

impl Asked {
    /// True if the amount is held and taken later: said by DE 25 = 06, or usual in the trade.
    /// Hotels and car rentals have a category for each chain beside the general one.
    pub const fn preauthorizes(&self) -> bool {
        self.condition == 6 || matches!(self.mcc, 3351..=3500 | 3501..=3999 | 7011 | 7512)
    }

    /// True for a code scanned in local transport: commuter trains, buses, taxis excepted.
    pub const fn is_at_a_gate(&self) -> bool {
        self.entry_mode / 10 == 3 && matches!(self.mcc, 4111 | 4112 | 4131)
    }
}

/// DE 3 = 03xxxx: an amount is held (network practice in China).
const HOLD: u8 = 3;

/// What pays, reduced to a key for range lookups: the first digits of a PAN or payment code, left
/// aligned, or the first bytes of a chip application's name, and the full length. Cannot be
/// printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Instrument {
    head: u64,
    length: u8,
    form: Form,
}

/// What an [`Instrument`] was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// A card number: digits.
    Pan,
    /// A payment code that was scanned: digits.
    Code,
    /// The application named in a scanned EMV code: bytes (ISO/IEC 7816-5).
    Application,
}

impl Instrument {
    /// A key from ASCII digits; `None` if empty, longer than 24, or not digits.
    pub fn from_digits(digits: &[u8], scanned: bool) -> Option<Self> {
        if digits.is_empty() || digits.len() > 24 || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let head = (0..Self::HEAD_DIGITS).fold(0, |head, place| {
            head * 10 + u64::from(digits.get(place).map_or(0, |digit| digit - b'0'))
        });
        Some(Self { head, length: digits.len() as u8, form: Form::of_digits(scanned) })
    }

    /// A key from its first 18 digits, see [`Self::head`], and how many there are; `None` if there
    /// are none or more than 24.
    #[inline]
    pub fn from_head(head: u64, digits: usize, scanned: bool) -> Option<Self> {
        debug_assert!(head < 10u64.pow(18), "18 decimal digits");
        let form = Form::of_digits(scanned);
        matches!(digits, 1..=24).then_some(Self { head, length: digits as u8, form })
    }

    /// A key from the name of an application, 5 to 16 bytes: a registered provider of five and
    /// what the provider adds.
    pub fn from_application(name: &[u8]) -> Option<Self> {
        if !matches!(name.len(), 5..=16) {
            return None;
        }
        let byte = |place: usize| u64::from(name.get(place).copied().unwrap_or(0));
        let head = (0..Self::HEAD_BYTES).fold(0, |head, place| head << 8 | byte(place));
        Some(Self { head, length: name.len() as u8, form: Form::Application })
    }

    /// How many leading digits take part in a range lookup.
    pub const HEAD_DIGITS: usize = 18;

    /// How many leading bytes of an application's name do.
    pub const HEAD_BYTES: usize = 7;

    /// The first 18 digits, or the first 7 bytes, as a number; what is shorter is filled with zeros
    /// on the right.
    pub const fn head(self) -> u64 {
        self.head
    }

    /// Digits, or bytes, in all.
    pub const fn length(self) -> u8 {
        self.length
    }

    /// What it was made of.
    pub const fn form(self) -> Form {
        self.form
    }
}

impl Form {
    const fn of_digits(scanned: bool) -> Self {
        if scanned { Self::Code } else { Self::Pan }
    }
}

impl std::fmt::Debug for Instrument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, unit) = match self.form {
            Form::Pan => ("pan", "digits"),
            Form::Code => ("code", "digits"),
            Form::Application => ("application", "bytes"),
        };
        write!(f, "<{kind}, {} {unit}>", self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_follow_from_what_is_asked() {
        let sale = Asked { class: 2, entry_mode: 31, mcc: 5812, ..Asked::default() };
        let hotel = Asked { class: 1, mcc: 7011, entry_mode: 12, ..sale };
        for (asked, kind) in [
            (sale, Kind::Purchase),
            (Asked { processing_code: 9, ..sale }, Kind::Purchase),
            (Asked { class: 1, condition: 59, ..sale }, Kind::Purchase),
            (hotel, Kind::PreAuthorization),
            (Asked { mcc: 3501, ..hotel }, Kind::PreAuthorization),
            (Asked { mcc: 3000, ..hotel }, Kind::Purchase),
            (Asked { class: 1, condition: 6, ..sale }, Kind::PreAuthorization),
            (Asked { class: 1, processing_code: 3, ..sale }, Kind::PreAuthorization),
            (Asked { class: 2, advice: true, ..hotel }, Kind::Completion),
            (Asked { class: 2, advice: true, condition: 6, ..sale }, Kind::Completion),
            (Asked { class: 2, advice: true, ..sale }, Kind::Purchase),
            (Asked { class: 2, ..hotel }, Kind::Purchase),
            (Asked { class: 2, condition: 6, ..hotel }, Kind::Completion),
            (Asked { processing_code: 22, ..sale }, Kind::Refund),
            (Asked { mcc: 4111, ..sale }, Kind::Fare),
            (Asked { mcc: 4131, ..sale }, Kind::Fare),
            (Asked { mcc: 4121, ..sale }, Kind::Purchase),
            (Asked { mcc: 4111, entry_mode: 51, ..sale }, Kind::Purchase),
            (Asked { processing_code: 2, ..hotel }, Kind::Void),
            (Asked { processing_code: 20, mcc: 4111, ..sale }, Kind::Refund),
            (Asked { processing_code: 31, ..sale }, Kind::Inquiry),
            (Asked { processing_code: 26, ..sale }, Kind::Transfer),
            (Asked { processing_code: 1, ..sale }, Kind::Other),
        ] {
            assert_eq!(Kind::of(&asked), kind, "{asked:?}");
        }
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place, "{}", kind.name());
        }
    }

    #[test]
    fn an_instrument_is_left_aligned_and_cannot_be_printed() {
        let short = Instrument::from_digits(b"62", false).expect("digits");
        assert_eq!(short.head(), 620_000_000_000_000_000);
        let code = Instrument::from_digits(b"281006012345678901234567", true).expect("digits");
        assert_eq!((code.head(), code.length()), (281_006_012_345_678_901, 24));
        assert_eq!(format!("{code:?}"), "<code, 24 digits>");
        assert_eq!(Instrument::from_digits(b"28x", true), None);
        let number = Instrument::from_head(411_111_000_000_000_000, 6, false);
        assert_eq!(number, Instrument::from_digits(b"411111", false));
        assert_eq!(Instrument::from_head(0, 0, false), None);
        assert_eq!(Instrument::from_head(1, 25, false), None);
        let application = Instrument::from_application(&[0xA0, 0, 0, 3, 0x33]).expect("a name");
        assert_eq!((application.head(), application.length()), (0xA0_0000_0333_0000, 5));
        assert_eq!(format!("{application:?}"), "<application, 5 bytes>");
        assert_eq!(Instrument::from_application(&[0xA0; 4]), None);
    }
}

//! Small handles. Numbers, never names: a name is looked up once, when configuration is loaded.

/// A configured peer: an acquirer or a partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u16);

/// One TCP connection of a link, on one worker.
///
/// The slot is reused after the connection ends; the generation is what tells the new tenant from
/// the old one, so that an answer for a closed connection can never reach its successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId {
    /// Place in the session table.
    pub slot: u32,
    /// How many tenants this slot has had.
    pub generation: u32,
}

/// A worker thread, 0 to `limits::WORKERS_MAX - 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u8);

/// A route of a route table, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteId(pub u16);

/// A merchant network or wallet scheme (ALIPAYPLUS, KAKAOPAY, UNIONPAY ...), by its place in the
/// route table that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkId(pub u16);

/// Where a merchant is, or where a wallet is at home: ISO 3166-1 alpha-2, as two ASCII bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(pub [u8; 2]);

impl Region {
    /// A region from two upper-case letters.
    pub fn from_text(text: &str) -> Option<Self> {
        let letters: [u8; 2] = text.as_bytes().try_into().ok()?;
        letters.iter().all(u8::is_ascii_uppercase).then_some(Self(letters))
    }
}

impl std::fmt::Display for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [first, second] = self.0;
        write!(f, "{}{}", char::from(first), char::from(second))
    }
}

impl std::fmt::Debug for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

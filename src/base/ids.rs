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

/// A route of a route table, by its place: it means nothing in any other table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteId(pub u16);

/// A route by its name: the same number in all tables that follow each other, never used again for
/// another one. What outlives a call keeps this, not a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RouteNumber(pub u32);

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

/// A region or a part of one: ISO 3166-1 alpha-2, and where it matters the part as in ISO 3166-2
/// (`CN-ZJ`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Area {
    /// The region.
    pub region: Region,
    /// One to three letters or digits, filled with zeros; all zero is the region as a whole.
    pub part: [u8; 3],
}

impl Area {
    /// An area from `CN` or `CN-ZJ`.
    pub fn from_text(text: &str) -> Option<Self> {
        let (region, part) = match text.split_once('-') {
            Some((_, "")) => return None,
            Some((region, part)) => (region, part.as_bytes()),
            None => (text, &[][..]),
        };
        let is_code = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        let mut area = Self::from(Region::from_text(region)?);
        area.part.get_mut(..part.len())?.copy_from_slice(part);
        part.iter().all(is_code).then_some(area)
    }

    /// True for a region as a whole.
    pub const fn is_whole(self) -> bool {
        matches!(self.part, [0, 0, 0])
    }
}

impl From<Region> for Area {
    fn from(region: Region) -> Self {
        Self { region, part: [0; 3] }
    }
}

impl std::fmt::Display for Area {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.region)?;
        if self.is_whole() {
            return Ok(());
        }
        f.write_str("-")?;
        let characters = self.part.into_iter().filter(|byte| *byte != 0);
        characters.map(char::from).try_for_each(|part| write!(f, "{part}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_is_a_region_or_a_part_of_it() {
        for text in ["CN", "CN-ZJ", "US-CA", "GB-ENG", "JP-1"] {
            let area = Area::from_text(text).expect("an area");
            assert_eq!(area.to_string(), text);
            assert_eq!(area.is_whole(), !text.contains('-'));
        }
        for text in ["", "C", "CHN", "cn", "CN-", "CN-zj", "CN-ABCD", "CN-Z-J", "-ZJ"] {
            assert_eq!(Area::from_text(text), None, "{text}");
        }
    }
}

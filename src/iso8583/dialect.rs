//! A dialect compiled: how one link writes ISO 8583, as a flat table indexed by element.
//!
//! Built once at load from a [`Spec`]; read by every decode and encode. It has no cleverness at
//! run time: whatever could be decided when the file was read has been decided.

use std::sync::atomic::{AtomicU64, Ordering};

use super::bitmap::Bitmap;
use super::composite::Composite;
use super::error::Reason;
use super::field::{Content, Field, Shape};
use super::mti::Mti;
use super::scan::Scan;
use super::spec::{HeaderKind, Spec, Wire};
use crate::base::limits;
use crate::base::pan::Secrecy;

/// A compiled dialect.
#[derive(Debug)]
pub struct Dialect {
    /// What it was compiled from, for people and for tools.
    pub spec: Spec,
    /// Tells compiled dialects apart, for what is kept about them elsewhere.
    pub(crate) id: u64,
    /// Elements by number; 0 and 1 are absent.
    pub fields: Box<[Field; limits::ELEMENTS_MAX + 1]>,
    /// Inner structures; `Field::inner` counts from 1.
    pub composites: Vec<Composite>,
    /// True if messages begin with a packed MTI and binary bitmaps, behind a header of which at
    /// most one byte is given.
    pub(super) begins_packed: bool,
    /// True if frames are of the commonest kind.
    pub(super) plain_frames: bool,
    /// Where scanned codes stand.
    pub scan: Scan,
    /// Elements that may be kept after authorization, and from which a reversal is written.
    pub kept: Bitmap,
    /// The same of an advice: it is delivered from what is kept of it, so that is more.
    pub kept_of_advice: Bitmap,
    /// Bytes before the MTI.
    pub header_bytes: usize,
    /// Bytes of the MTI.
    pub mti_bytes: usize,
    rules: Vec<(RuleKey, Rules)>,
    /// Place in `rules` by class and function, the second and third digit of an MTI.
    rules_by_type: Box<[u8; 256]>,
}

/// How many dialects this process has compiled.
static COMPILED: AtomicU64 = AtomicU64::new(1);

/// What holds for the messages of one MTI.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Elements that must be there.
    pub mandatory: Bitmap,
    /// Elements that must not be there.
    pub forbidden: Bitmap,
    /// Elements an answer made by the switch repeats.
    pub echo: Bitmap,
    /// Elements that must be equal in request and answer, beside the STAN: the first `matched` of
    /// them tell whose answer it is, the others may be left out of it.
    pub watched: Vec<u8>,
    /// How many of `watched` are the match key.
    pub matched: u8,
}

/// Most elements in which an answer is compared with its request.
pub const WATCHED_MAX: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RuleKey {
    Exact(Mti),
    Class(u8),
    Default,
}

impl Dialect {
    /// Compiles `spec`.
    pub fn compile(spec: Spec) -> Self {
        let mut fields = Box::new([Field::ABSENT; limits::ELEMENTS_MAX + 1]);
        let mut composites = Vec::new();
        for (&element, field_spec) in &spec.fields {
            let mut field = Field::compile(element, field_spec, spec.charset, spec.code_page);
            if let Some(inner) = field_spec.inner.as_ref().and_then(|n| spec.composites.get(n)) {
                composites.push(Composite::compile(inner, spec.charset, spec.code_page));
                field.inner = composites.len() as u8;
            }
            if let Some(slot) = fields.get_mut(usize::from(element)) {
                *slot = field;
            }
        }
        let header_bytes =
            if spec.header.kind == HeaderKind::None { 0 } else { usize::from(spec.header.size) };
        let mti_bytes = if spec.mti == Wire::Bcd { 2 } else { 4 };
        let begins_packed = spec.mti == Wire::Bcd
            && spec.bitmap.wire == Wire::Binary
            && !spec.bitmap.always_128
            && spec.header.begins.len() <= 1;
        let rules = compile_rules(&spec);
        let rules_by_type = rules_by_type(&rules);
        let id = COMPILED.fetch_add(1, Ordering::Relaxed);
        let open = |element: &u8| *element == 2 || field_is_open(&fields, *element);
        let kept = KEPT.into_iter().filter(open).collect();
        let kept_of_advice = KEPT.into_iter().chain(KEPT_OF_ADVICE).filter(open).collect();
        Self {
            scan: Scan::compile(&spec),
            kept,
            kept_of_advice,
            id,
            begins_packed,
            plain_frames: spec.framing.is_plain(),
            fields,
            composites,
            header_bytes,
            mti_bytes,
            rules,
            rules_by_type,
            spec,
        }
    }

    /// The dialect's name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// What the dialect says about `element`.
    #[inline]
    pub fn field(&self, element: u8) -> &Field {
        self.fields.get(usize::from(element)).unwrap_or(&Field::ABSENT)
    }

    /// True if the dialect has `element` as data.
    pub fn has(&self, element: u8) -> bool {
        let field = self.field(element);
        field.shape != Shape::Absent && field.content != Content::Bitmap
    }

    /// The inner structure of a field of this dialect.
    #[inline]
    pub(super) fn composite_of(&self, field: &Field) -> Option<&Composite> {
        self.composites.get(usize::from(field.inner).checked_sub(1)?)
    }

    /// The inner structure of `element`.
    pub fn composite(&self, element: u8) -> Option<&Composite> {
        self.composites.get(usize::from(self.field(element).inner).checked_sub(1)?)
    }

    /// Proves the inner structure of a value in wire form, if `field` has one. It is made of bytes:
    /// where those are written as hexadecimal characters, it is read through them. True if it is
    /// EMV data with account data in it.
    #[inline]
    pub(super) fn check_inner(&self, field: &Field, body: &[u8]) -> Result<bool, Reason> {
        let place = usize::from(field.inner).checked_sub(1);
        let Some(composite) = place.and_then(|place| self.composites.get(place)) else {
            return Ok(false);
        };
        if matches!(field.content, Content::Hex | Content::HexEbcdic) {
            return check_hex(composite, field, body);
        }
        composite.check(body)
    }

    /// The rules for requests of `mti`: those of the MTI itself, else of its class, else the
    /// default.
    #[inline]
    pub fn rules(&self, mti: Mti) -> &Rules {
        let place = self.rules_by_type[usize::from(mti.packed() >> 4 & 0xFF)];
        self.rules.get(usize::from(place)).map_or(&EMPTY_RULES, |(_, rules)| rules)
    }

    /// True if messages of both look the same on the wire behind the header, so that a message of
    /// one can be forwarded to the other as raw bytes.
    pub fn is_like(&self, other: &Self) -> bool {
        self.spec.mti == other.spec.mti
            && self.spec.bitmap == other.spec.bitmap
            && self.fields == other.fields
            && self.composites == other.composites
    }
}

/// Edition and origin do not matter: a repeat is looked at like its original.
fn rules_by_type(rules: &[(RuleKey, Rules)]) -> Box<[u8; 256]> {
    let mut places = Box::new([0; 256]);
    for (kind, place) in places.iter_mut().enumerate() {
        let found = rules.iter().position(|(key, _)| match key {
            RuleKey::Exact(mti) => usize::from(mti.packed() >> 4 & 0xFF) == kind,
            RuleKey::Class(class) => usize::from(*class) == kind >> 4,
            RuleKey::Default => true,
        });
        *place = found.unwrap_or(0) as u8;
    }
    places
}

/// An inner structure is made of bytes: where those are written as hexadecimal characters, it is
/// read through them.
#[inline(never)]
fn check_hex(composite: &Composite, field: &Field, body: &[u8]) -> Result<bool, Reason> {
    let mut buffer = [0; limits::FRAME_BYTES_MAX / 2];
    let bytes = buffer.get_mut(..body.len() / 2).ok_or(Reason::InnerLength)?;
    for (byte, pair) in bytes.iter_mut().zip(body.chunks_exact(2)) {
        *byte = pair.iter().fold(0, |byte, character| byte << 4 | field.hex_digit(*character));
    }
    composite.check(bytes)
}

fn field_is_open(fields: &[Field; limits::ELEMENTS_MAX + 1], element: u8) -> bool {
    let field = fields.get(usize::from(element)).unwrap_or(&Field::ABSENT);
    field.shape != Shape::Absent && field.secrecy == Secrecy::Open
}

/// What a reversal repeats of its original. No track, PIN block, EMV or private data: none of them
/// may be kept after authorization, not even encrypted (PCI DSS 3.3.1).
const KEPT: [u8; 29] = [
    2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 15, 16, 17, 18, 19, 22, 24, 25, 32, 33, 37, 41, 42, 43,
    49, 50, 51, 100,
];

/// What an advice says beside these. Again no track, PIN block, EMV or private data: it is stored
/// before it is sent.
const KEPT_OF_ADVICE: [u8; 11] = [14, 20, 21, 23, 26, 38, 39, 44, 54, 90, 95];

static EMPTY_RULES: Rules = Rules {
    mandatory: Bitmap::from_words([0; 3]),
    forbidden: Bitmap::from_words([0; 3]),
    echo: Bitmap::from_words([0; 3]),
    watched: Vec::new(),
    matched: 0,
};

/// What an answer made by the switch repeats if a dialect does not say: never account data.
const ECHO_DEFAULT: [u8; 12] = [3, 4, 7, 11, 12, 13, 24, 32, 37, 41, 42, 49];
const ECHO_NETWORK: [u8; 8] = [3, 7, 11, 12, 13, 24, 41, 70];
const MATCH_DEFAULT: [u8; 3] = [7, 37, 41];

/// Beside the match key, what an answer may leave out but not contradict: account, processing code,
/// acquirer, merchant, currency, amount.
const REPEATED: [u8; 6] = [2, 3, 32, 42, 49, 4];

const _: () = assert!(REPEATED.len() < WATCHED_MAX);

/// One entry per MTI that any of the tables names, then the class of network management, then the
/// default; looked through in that order.
fn compile_rules(spec: &Spec) -> Vec<(RuleKey, Rules)> {
    let named = spec.presence.keys().chain(spec.echo.keys()).chain(spec.match_keys.keys());
    let mut keys: Vec<RuleKey> =
        named.filter_map(|name| Mti::from_ascii(name.as_bytes()).map(RuleKey::Exact)).collect();
    keys.push(RuleKey::Class(8));
    keys.push(RuleKey::Default);
    let mut rules: Vec<(RuleKey, Rules)> = Vec::new();
    for key in keys {
        if rules.iter().all(|(known, _)| *known != key) {
            rules.push((key, rules_of(spec, key)));
        }
    }
    rules
}

fn rules_of(spec: &Spec, key: RuleKey) -> Rules {
    let (name, is_network) = match key {
        RuleKey::Exact(mti) => (mti.to_string(), mti.is_network_management()),
        RuleKey::Class(_) => ("0800".to_owned(), true),
        RuleKey::Default => (String::new(), false),
    };
    let presence = spec
        .presence
        .get(&name)
        .or_else(|| spec.presence.get("default").filter(|_| !is_network))
        .cloned()
        .unwrap_or_default();
    let known = |fallback: &[u8]| -> Vec<u8> {
        fallback.iter().copied().filter(|element| spec.fields.contains_key(element)).collect()
    };
    let echo = spec
        .echo
        .get(&name)
        .or_else(|| spec.echo.get("default").filter(|_| !is_network))
        .cloned()
        .unwrap_or_else(|| known(if is_network { &ECHO_NETWORK } else { &ECHO_DEFAULT }));
    let match_key = spec
        .match_keys
        .get(&name)
        .or_else(|| spec.match_keys.get("default"))
        .cloned()
        .unwrap_or_else(|| known(&MATCH_DEFAULT));
    let mut watched = match_key;
    watched.retain(|element| *element != 11 && *element != 4);
    watched.truncate(WATCHED_MAX - REPEATED.len());
    let matched = watched.len() as u8;
    let more = REPEATED.into_iter().filter(|element| spec.fields.contains_key(element));
    watched.extend(more.filter(|element| !watched.contains(element)).collect::<Vec<_>>());
    Rules {
        mandatory: presence.mandatory.iter().copied().collect(),
        forbidden: presence.forbidden.iter().copied().collect(),
        echo: echo.into_iter().collect(),
        watched,
        matched,
    }
}

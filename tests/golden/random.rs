//! Random messages of every shipped dialect: they come back as they were, from bytes, through
//! another dialect, and out of a stream cut anywhere.

use std::sync::{Arc, LazyLock};

use authswitch::app::{dialect_file, dialects};
use authswitch::base::limits;
use authswitch::iso8583::bitmap::Bitmap;
use authswitch::iso8583::decode::Index;
use authswitch::iso8583::dialect::Dialect;
use authswitch::iso8583::encode;
use authswitch::iso8583::field::{Content, Field};
use authswitch::iso8583::frame::{self, Cut};
use authswitch::iso8583::message::Message;
use authswitch::iso8583::mti::Mti;
use authswitch::iso8583::transcode::{Changes, Transcoder};
use proptest::prelude::*;
use proptest::sample::{Index as Choice, select};

static DIALECTS: LazyLock<Vec<Arc<Dialect>>> = LazyLock::new(|| {
    dialect_file::shipped_names().map(|name| dialects::load(name).expect("shipped")).collect()
});

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_written_is_read(dialect in any_dialect(), seeds in seeds()) {
        let (values, bytes) = message(&dialect, &seeds);
        let mut index = Index::default();
        let decoded = dialect.decode(&bytes, &mut index);
        prop_assert!(decoded.is_ok(), "{} {decoded:?} {bytes:02x?}", dialect.name());
        let view = Message { bytes: &bytes, index: &index, dialect: &dialect };
        prop_assert_eq!(dialects::values(&view), values);
        prop_assert_eq!(dialects::again(&view).expect("writes"), bytes);
    }

    #[test]
    fn a_scan_finds_what_a_decode_finds(
        dialect in any_dialect(),
        seeds in seeds(),
        last in 2..129u8,
    ) {
        let (_, bytes) = message(&dialect, &seeds);
        let (mut whole, mut part) = (Index::default(), Index::default());
        dialect.decode(&bytes, &mut whole).expect("sound");
        dialect.scan_until(&bytes, last, &mut part).expect("sound");
        for element in whole.present.iter() {
            let expected = if element <= last { whole.span(element) } else { None };
            prop_assert_eq!(part.span(element), expected);
        }
    }

    #[test]
    fn what_is_not_lost_comes_back(from in any_dialect(), to in any_dialect(), seeds in seeds()) {
        let (values, bytes) = message(&from, &seeds);
        let there = Transcoder::compile(&from, &to);
        let back = Transcoder::compile(&to, &from);
        let lossy: Bitmap = there.losses.iter().chain(&back.losses).map(|l| l.element).collect();
        let kept: Vec<_> = values.into_iter().filter(|(e, _)| !lossy.has(*e)).collect();
        let changes = Changes { without: lossy, ..Changes::default() };
        let Some(middle) = carry(&there, &bytes, &from, &to, &changes)? else { return Ok(()) };
        let way_back = carry(&back, &middle, &to, &from, &Changes::default())?;
        let Some(returned) = way_back else { return Ok(()) };
        let mut index = Index::default();
        from.decode(&returned, &mut index).expect("sound");
        let view = Message { bytes: &returned, index: &index, dialect: &from };
        for ((element, before), (other, after)) in kept.iter().zip(dialects::values(&view)) {
            prop_assert_eq!(*element, other);
            let fixed = to.field(*element).is_variable() != from.field(*element).is_variable();
            // Fill is no content: zeros before a number, spaces behind a text.
            prop_assert!(
                *before == after || fixed || from.field(*element).units != to.field(*element).units,
                "{} -> {} DE {element} {before:02x?} {after:02x?}", from.name(), to.name()
            );
        }
    }

    #[test]
    fn any_split_of_a_stream_gives_the_same_frames(
        dialect in any_dialect(),
        seeds in prop::collection::vec(seeds(), 1..5),
        cuts in prop::collection::vec(any::<Choice>(), 0..8),
    ) {
        let framing = &dialect.spec.framing;
        let (mut stream, mut sent) = (Vec::new(), Vec::new());
        for seeds in &seeds {
            let (_, bytes) = message(&dialect, seeds);
            if bytes.len() < limits::FRAME_BYTES_MIN {
                continue;
            }
            let start = frame::begin(framing, &mut stream);
            stream.extend_from_slice(&bytes);
            if frame::finish(framing, &mut stream, start).is_ok() {
                sent.push(bytes);
            }
        }
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        ends.push(stream.len());
        ends.sort_unstable();
        let (mut buffer, mut seen, mut fed) = (Vec::new(), Vec::new(), 0);
        for end in ends {
            buffer.extend_from_slice(&stream[fed..end]);
            fed = end;
            while let Cut::Frame { start, end, next } = frame::cut(framing, &buffer) {
                seen.push(buffer[start..end].to_vec());
                buffer.drain(..next);
            }
        }
        prop_assert_eq!(seen, sent);
        prop_assert!(buffer.is_empty());
    }
}

/// The message in the other dialect, without frame; `None` if a value does not fit there or there
/// is nothing to carry.
fn carry(
    way: &Transcoder,
    bytes: &[u8],
    from: &Dialect,
    to: &Dialect,
    changes: &Changes<'_>,
) -> Result<Option<Vec<u8>>, TestCaseError> {
    let mut index = Index::default();
    let decoded = from.decode(bytes, &mut index);
    prop_assert!(decoded.is_ok(), "{}: {decoded:?} {bytes:02x?}", from.name());
    let (mut scratch, mut framed) = (Vec::new(), Vec::new());
    let view = Message { bytes, index: &index, dialect: from };
    let header = |out: &mut Vec<u8>| encode::template_header(to, out);
    let result = way.carry(&view, to, header, changes, &mut scratch, &mut framed);
    // What is reported as lost was left out, so that nothing can fail to fit.
    prop_assert!(result.is_ok(), "{} -> {}: {result:?}", from.name(), to.name());
    let Cut::Frame { start, end, next } = frame::cut(&to.spec.framing, &framed) else {
        return Ok(None);
    };
    prop_assert_eq!(next, framed.len());
    let body = framed[start..end].to_vec();
    let carried = to.decode(&body, &mut index);
    let nothing_left = index.named.is_empty();
    prop_assert!(carried.is_ok() || nothing_left, "{}: {carried:?} {body:02x?}", to.name());
    Ok(if nothing_left { None } else { Some(body) })
}

/// A dialect that prints as its name, so that a failure can be read.
#[derive(Clone)]
struct Named(Arc<Dialect>);

impl std::fmt::Debug for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name())
    }
}

impl std::ops::Deref for Named {
    type Target = Dialect;

    fn deref(&self) -> &Dialect {
        &self.0
    }
}

fn any_dialect() -> impl Strategy<Value = Named> {
    select(DIALECTS.iter().cloned().map(Named).collect::<Vec<_>>())
}

/// For each of some elements: which one, how long, and what to fill it with.
type Seed = (Choice, Choice, u64);

fn seeds() -> impl Strategy<Value = Vec<Seed>> {
    prop::collection::vec(any::<Seed>(), 1..25)
}

/// A sound message of `dialect`: its values in neutral form, and its bytes.
fn message(dialect: &Dialect, seeds: &[Seed]) -> (Vec<(u8, Vec<u8>)>, Vec<u8>) {
    let elements: Vec<u8> = (2..=192).filter(|element| dialect.has(*element)).collect();
    let third = elements.iter().any(|element| *element > 128);
    let mut values: Vec<(u8, Vec<u8>)> = Vec::new();
    let mut bytes = Vec::new();
    let mti = Mti::from_packed(0x0200).expect("digits");
    let mut header = Vec::new();
    encode::template_header(dialect, &mut header);
    for (which, length, filling) in seeds {
        let element = *which.get(&elements);
        let field = dialect.field(element);
        let most = usize::from(field.units).min(if third { 40 } else { 60 });
        let units = if field.is_variable() { length.index(most + 1) } else { field.units.into() };
        let neutral = filled(field, units, *filling);
        let inner = dialect.composite(element).is_some();
        if let Err(place) = values.binary_search_by_key(&element, |(element, _)| *element) {
            values.insert(place, (element, neutral));
            // Inner structures have their own tests; here only what happens to be one is kept.
            let written = written(dialect, &header, mti, &values);
            if inner && dialect.decode(&written, &mut Index::default()).is_err() {
                values.remove(place);
            }
        }
    }
    if values.is_empty() {
        let element = elements[0];
        let units = usize::from(dialect.field(element).units);
        values.push((element, filled(dialect.field(element), units, 7)));
    }
    bytes.extend(written(dialect, &header, mti, &values));
    (values, bytes)
}

fn written(dialect: &Dialect, header: &[u8], mti: Mti, values: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode::encode(dialect, header, mti, values, &mut bytes)
        .unwrap_or_else(|error| panic!("{}: {error} {values:02x?}", dialect.name()));
    bytes
}

/// A neutral value of so many units that the element must take.
fn filled(field: &Field, units: usize, mut state: u64) -> Vec<u8> {
    let mut next = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let digit = |byte: u8| b'0' + byte % 10;
    let signed =
        matches!(field.content, Content::SignedAscii | Content::SignedBcd | Content::SignedEbcdic);
    (0..units)
        .map(|place| match field.content {
            _ if signed && place == 0 => [b'C', b'D'][usize::from(next() % 2)],
            _ if signed || field.content.is_numeric() => digit(next()),
            Content::TrackBcd if place == 16 => b'=',
            Content::TrackBcd => digit(next()),
            Content::Bytes
            | Content::Hex
            | Content::HexEbcdic
            | Content::Latin1
            | Content::Gbk
            | Content::Ebcdic => next(),
            Content::OfClass(classes) => {
                let mut byte = digit(next());
                if !authswitch::iso8583::digits::are_of(&[byte], classes) {
                    byte = b'A' + next() % 26;
                }
                byte
            }
            _ => b' ' + next() % 95,
        })
        .collect()
}

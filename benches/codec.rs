//! The codec alone: decode, scan, forward, encode, transcode. Every bench asserts what it computes.
//!
//! `cargo bench --bench codec`; `cargo bench --bench codec -- --test` only checks that they run.

use std::hint::black_box;
use std::sync::Arc;

use authswitch::app::{dialects, json};
use authswitch::iso8583::decode::Index;
use authswitch::iso8583::dialect::Dialect;
use authswitch::iso8583::encode::{self, StanBytes};
use authswitch::iso8583::message::Message;
use authswitch::iso8583::transcode::{Changes, Transcoder};
use criterion::{Criterion, criterion_group, criterion_main};

criterion_group!(benches, decode, forward, write, transcode);
criterion_main!(benches);

/// A sale as POS terminals send it, behind a TPDU: 229 bytes, 19 elements.
const SALE: &str = r#"{"mti":"0100","header":"6000030000","fields":{
"2":"4111111111111111","3":"000000","4":"000000012345","7":"1122031500","11":"000042",
"12":"031500","13":"1122","14":"2912","22":"051","23":"001","24":"003","25":"00",
"35":"4111111111111111=29122011234567890","37":"632603000042","41":"TERM0001",
"42":"MERCHANT0000001","49":"840",
"55":"9F2608A1B2C3D4E5F607089F2701809F10120110A00003220000000000000000000000FF
9F3704112233449F36020042950500000080009A032611229C01009F02060000000123455F2A020840
9F1A0208408202390057104111111111111111D29122010000000F","60":"0001234567"}}"#;

fn dialect(name: &str) -> Arc<Dialect> {
    dialects::load(name).expect("shipped")
}

/// A UnionPay payment from the vectors of its dialect file, 22 elements, and two more of what it
/// may carry.
fn payment(dialect: &Dialect) -> Vec<u8> {
    let vector = dialect.spec.vectors.iter().find(|vector| vector.id == "vfwz-PAY_REQUEST");
    let mut bytes = Vec::new();
    json::read_hex(vector.expect("in the file").hex.as_bytes(), &mut bytes).expect("hexadecimal");
    let mut index = Index::default();
    dialect.decode(&bytes, &mut index).expect("sound");
    let view = Message { bytes: &bytes, index: &index, dialect };
    let mut values = dialects::values(&view);
    values.extend([(15, b"0824".to_vec()), (37, b"632603000042".to_vec())]);
    values.sort();
    let mut out = Vec::new();
    encode::encode(dialect, view.header(), view.mti(), &values, &mut out).expect("fits");
    dialect.decode(&out, &mut index).expect("sound");
    out
}

fn sale(dialect: &Dialect) -> Vec<u8> {
    let mut bytes = Vec::new();
    json::encode(dialect, SALE.replace('\n', "").as_bytes(), &mut Index::default(), &mut bytes)
        .expect("a sound sale");
    bytes
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    let mut index = Index::default();
    let cup = dialect("cup-pos");
    let bytes = payment(&cup);
    group.bench_function("cup-pos 0200, 24 elements", |b| {
        b.iter(|| cup.decode(black_box(&bytes), &mut index).is_ok());
    });
    let view = Message { bytes: &bytes, index: &index, dialect: &cup };
    assert_eq!((view.present().iter().count(), view.number(4)), (24, Some(1_111)));
    group.bench_function("cup-pos 0200, up to DE 42", |b| {
        b.iter(|| cup.scan_until(black_box(&bytes), 42, &mut index).is_ok());
    });
    let view = Message { bytes: &bytes, index: &index, dialect: &cup };
    assert_eq!(view.text::<8>(41), Some(*b"10016919"));
    assert!(!view.has(49));
    let pos = dialect("pos-bcd");
    let bytes = sale(&pos);
    assert_eq!(bytes.len(), 229);
    group.bench_function("pos-bcd 0100, 229 bytes", |b| {
        b.iter(|| pos.decode(black_box(&bytes), &mut index).is_ok());
    });
    let view = Message { bytes: &bytes, index: &index, dialect: &pos };
    assert_eq!((view.number(4), view.number(11)), (Some(12_345), Some(42)));
    group.finish();
}

fn forward(c: &mut Criterion) {
    let pos = dialect("pos-bcd");
    let bytes = sale(&pos);
    let mut index = Index::default();
    pos.decode(&bytes, &mut index).expect("sound");
    let behind = &bytes[pos.header_bytes..];
    let span = index.span(11).expect("a STAN");
    let from_mti = |offset: u16| usize::from(offset) - pos.header_bytes;
    let place = from_mti(span.value)..from_mti(span.end);
    let mut out = Vec::with_capacity(4096);
    c.bench_function("forward, STAN patched", |b| {
        b.iter(|| {
            out.clear();
            let stan = StanBytes::new(pos.field(11), black_box(123_456)).expect("six digits");
            let header = |out: &mut Vec<u8>| encode::template_header(&pos, out);
            encode::patch(&pos, header, behind, place.clone(), stan.as_slice(), &mut out).is_ok()
        });
    });
    pos.decode(&out[2..], &mut index).expect("sound");
    let view = Message { bytes: &out[2..], index: &index, dialect: &pos };
    assert_eq!((view.number(11), view.number(4)), (Some(123_456), Some(12_345)));
}

fn write(c: &mut Criterion) {
    let pos = dialect("pos-bcd");
    let bytes = sale(&pos);
    let mut index = Index::default();
    pos.decode(&bytes, &mut index).expect("sound");
    let view = Message { bytes: &bytes, index: &index, dialect: &pos };
    let values = dialects::values(&view);
    let mut out = Vec::with_capacity(4096);
    c.bench_function("encode pos-bcd from values", |b| {
        b.iter(|| {
            out.clear();
            encode::encode(&pos, view.header(), view.mti(), black_box(&values), &mut out).is_ok()
        });
    });
    assert_eq!(out, bytes);
}

fn transcode(c: &mut Criterion) {
    let (pos, ascii) = (dialect("pos-bcd"), dialect("iso87-ascii"));
    let bytes = sale(&pos);
    let mut index = Index::default();
    pos.decode(&bytes, &mut index).expect("sound");
    let way = Transcoder::compile(&pos, &ascii);
    let (mut scratch, mut out) = (Vec::new(), Vec::with_capacity(4096));
    c.bench_function("transcode pos-bcd to iso87-ascii", |b| {
        let view = Message { bytes: &bytes, index: &index, dialect: &pos };
        b.iter(|| {
            out.clear();
            let header = |out: &mut Vec<u8>| encode::template_header(&ascii, out);
            let changes = Changes::default();
            way.carry(black_box(&view), &ascii, header, &changes, &mut scratch, &mut out)
        });
    });
    let mut index = Index::default();
    ascii.decode(&out[2..], &mut index).expect("sound");
    let view = Message { bytes: &out[2..], index: &index, dialect: &ascii };
    assert_eq!((view.number(4), view.text::<8>(41)), (Some(12_345), Some(*b"TERM0001")));
}

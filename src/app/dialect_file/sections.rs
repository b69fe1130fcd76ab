//! The sections of a dialect file that say how a message is cut and begun: framing, header, MTI,
//! bitmap, text.
//!
//! A section that a file gives replaces the parent's whole: half a framing from one file and half
//! from another would have to be put together in the reader's head.

use super::mistake::Log;
use super::table::Table;
use crate::iso8583::spec::{
    BitmapSpec, Charset, CodePage, FrameLength, Framing, HeaderKind, HeaderSpec, Spec, Wire,
};

/// Reads the five sections into `spec`; without a parent, `[mti]` and `[bitmap]` must be there.
pub(super) fn read(root: &mut Table<'_>, spec: &mut Spec, inherits: bool, log: &mut Log<'_>) {
    if let Some(mut table) = root.table("framing", log) {
        spec.framing = framing(&mut table, log);
        table.finish(log);
    }
    if let Some(mut table) = root.table("header", log) {
        spec.header = header(&mut table, log);
        table.finish(log);
    }
    for (section, words) in [("mti", &MTI_WIRES[..]), ("bitmap", &BITMAP_WIRES[..])] {
        let Some(mut table) = root.table(section, log) else {
            if !inherits && root.take(section).is_none() {
                log.add(&root.span, format!("missing [{section}], and no parent to take it from"));
            }
            continue;
        };
        if table.take("wire").is_none() {
            log.add(&table.span, "missing wire");
        }
        let wire = table.word("wire", "wire form", words, log).unwrap_or_default();
        if section == "mti" {
            spec.mti = wire;
        } else {
            spec.bitmap = BitmapSpec { wire, always_128: table.flag("always_128", log) };
        }
        table.finish(log);
    }
    if let Some(mut table) = root.table("text", log) {
        spec.charset = table.word("charset", "charset", &CHARSETS, log).unwrap_or_default();
        spec.code_page = table.word("ebcdic", "code page", &CODE_PAGES, log).unwrap_or_default();
        table.finish(log);
    }
}

fn framing(table: &mut Table<'_>, log: &mut Log<'_>) -> Framing {
    if table.take("length").is_none() {
        log.add(&table.span, "missing length");
    }
    let length = table.word("length", "frame length", &FRAME_LENGTHS, log);
    let length = length.unwrap_or(FrameLength::Binary);
    let (usual, range) = match length {
        FrameLength::Binary => (2, 2..=4),
        FrameLength::Bcd => (2, 2..=4),
        FrameLength::Ascii | FrameLength::Hex => (4, 2..=8),
        FrameLength::None => (0, 0..=0),
    };
    let framing = Framing {
        length,
        size: table.number("size", range, log).unwrap_or(usual),
        counts_itself: table.flag("counts_itself", log),
        before: table.hex("before", log),
        after: table.hex("after", log),
        trailer: table.hex("trailer", log),
        keepalive: table.flag("keepalive", log),
    };
    if length == FrameLength::None {
        if framing.trailer.is_empty() {
            log.add(&table.span, "a frame without length needs a trailer to end at");
        }
        if framing.counts_itself || framing.keepalive {
            log.add(&table.span, "counts_itself and keepalive speak of a length; there is none");
        }
    }
    framing
}

fn header(table: &mut Table<'_>, log: &mut Log<'_>) -> HeaderSpec {
    if table.take("kind").is_none() {
        log.add(&table.span, "missing kind");
    }
    let kind = table.word("kind", "kind of header", &HEADER_KINDS, log).unwrap_or_default();
    let (usual, range) = match kind {
        HeaderKind::None => (0, 0..=0),
        HeaderKind::Tpdu => (5, 5..=255),
        HeaderKind::Opaque => (0, 1..=255),
    };
    if kind == HeaderKind::Opaque && table.take("size").is_none() {
        log.add(&table.span, "missing size");
    }
    let size = table.number("size", range, log).unwrap_or(usual);
    let template = table.hex("template", log);
    let begins = table.hex("begins", log);
    if !template.is_empty() && template.len() != usize::from(size) {
        let reason = format!("template has {} bytes, the header {size}", template.len());
        log.add(&table.span, reason);
    }
    if begins.len() > usize::from(size) {
        log.add(&table.span, "begins is longer than the header");
    }
    if !template.is_empty() && !template.starts_with(&begins) {
        log.add(&table.span, "template does not begin with begins");
    }
    HeaderSpec { kind, size, template, begins }
}

const FRAME_LENGTHS: [(&str, FrameLength); 5] = [
    ("binary", FrameLength::Binary),
    ("bcd", FrameLength::Bcd),
    ("ascii", FrameLength::Ascii),
    ("hex", FrameLength::Hex),
    ("none", FrameLength::None),
];

const HEADER_KINDS: [(&str, HeaderKind); 3] =
    [("none", HeaderKind::None), ("tpdu", HeaderKind::Tpdu), ("opaque", HeaderKind::Opaque)];

const MTI_WIRES: [(&str, Wire); 3] =
    [("bcd", Wire::Bcd), ("ascii", Wire::Ascii), ("ebcdic", Wire::Ebcdic)];

const BITMAP_WIRES: [(&str, Wire); 3] =
    [("binary", Wire::Binary), ("hex", Wire::Hex), ("hex-ebcdic", Wire::HexEbcdic)];

const CHARSETS: [(&str, Charset); 3] =
    [("ascii", Charset::Ascii), ("latin1", Charset::Latin1), ("gbk", Charset::Gbk)];

const CODE_PAGES: [(&str, CodePage); 3] =
    [("cp500", CodePage::Cp500), ("cp037", CodePage::Cp037), ("cp1047", CodePage::Cp1047)];

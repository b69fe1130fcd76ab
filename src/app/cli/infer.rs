//! `authswitch dialect infer`: which dialect, header and frame are these messages written in?
//!
//! Every shipped dialect is tried behind every frame that cuts all messages to the byte, with its
//! own header and with the usual ones. A fit must decode all messages and write the same bytes
//! again. Among fits the one with fewer doubts comes first, then the stricter one: a dialect that
//! takes anything fits anything.

use std::io::{self, Write};
use std::process::ExitCode;

use super::{Ended, FAILED, explain, guess, lines};
use crate::app::dialect_file::shipped_names;
use crate::app::{dialects, json};
use crate::iso8583::decode::Index;
use crate::iso8583::dialect::Dialect;
use crate::iso8583::frame::{self, Cut};
use crate::iso8583::message::Message;
use crate::iso8583::spec::{Framing, HeaderSpec, Spec};

/// One way to read the messages.
struct Fit {
    dialect: Dialect,
    frame: String,
    own_header: bool,
    doubts: Vec<String>,
    strictness: usize,
}

/// A way that failed: how far it came, in bytes of the first message that it could not read.
struct Miss {
    name: String,
    framed: bool,
    bytes: u32,
    why: String,
}

/// Runs the command.
pub(super) fn run(arguments: &[String]) -> Ended {
    let mut messages = Vec::new();
    for (line, number) in lines::all(arguments)?.iter().zip(1..) {
        let mut bytes = Vec::new();
        if let Err(place) = json::read_hex(line, &mut bytes) {
            eprintln!("authswitch: message {number} is not hexadecimal at character {place}");
            return Ok(ExitCode::from(FAILED));
        }
        messages.push(bytes);
    }
    if messages.is_empty() {
        eprintln!("authswitch: no message to look at");
        return Ok(ExitCode::from(FAILED));
    }
    let (mut fits, mut misses) = (Vec::new(), Vec::new());
    for framing in guess::framings() {
        let Some(bodies) = bodies(framing.as_ref(), &messages) else { continue };
        for name in shipped_names() {
            let Ok(dialect) = dialects::load(name) else { continue };
            try_headers(&dialect.spec, framing.as_ref(), &bodies, &mut fits, &mut misses);
        }
    }
    fits.sort_by(|a, b| rank(a).cmp(&rank(b)));
    print(&mut io::stdout().lock(), &fits, misses)?;
    Ok(if fits.is_empty() { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

/// The messages without their frames, if `framing` cuts each of them to the byte.
fn bodies<'m>(framing: Option<&Framing>, messages: &'m [Vec<u8>]) -> Option<Vec<&'m [u8]>> {
    let body = |message: &'m Vec<u8>| match framing {
        None => Some(&message[..]),
        Some(framing) => match frame::cut(framing, message) {
            Cut::Frame { start, end, next } if next == message.len() => message.get(start..end),
            _ => None,
        },
    };
    messages.iter().map(body).collect()
}

/// Tries one dialect with its own header, and only if that does not fit with the usual ones.
fn try_headers(
    spec: &Spec,
    framing: Option<&Framing>,
    bodies: &[&[u8]],
    fits: &mut Vec<Fit>,
    misses: &mut Vec<Miss>,
) {
    let frame = framing.map_or("none".to_owned(), explain::framing);
    match fit(Dialect::compile(spec.clone()), bodies) {
        Ok((dialect, mut doubts)) => {
            if framing.is_some_and(|framing| *framing != spec.framing) {
                doubts.push(format!("its own frame is {}", explain::framing(&spec.framing)));
            }
            let strictness = guess::strictness(&dialect, bodies);
            fits.push(Fit { dialect, frame, own_header: true, doubts, strictness });
            return;
        }
        Err(miss) => misses.push(Miss { framed: framing.is_some(), ..miss }),
    }
    for header in guess::headers() {
        if header.size == spec.header.size {
            continue;
        }
        let HeaderSpec { kind, size, .. } = header;
        let spec = Spec { header, ..spec.clone() };
        if let Ok((dialect, mut doubts)) = fit(Dialect::compile(spec), bodies) {
            doubts.push(format!("its own header is not {size} bytes ({kind:?})"));
            let strictness = guess::strictness(&dialect, bodies);
            let frame = frame.clone();
            fits.push(Fit { dialect, frame, own_header: false, doubts, strictness });
        }
    }
}

/// Decodes all and writes all again; returns what is doubtful all the same.
fn fit(dialect: Dialect, bodies: &[&[u8]]) -> Result<(Dialect, Vec<String>), Miss> {
    let mut doubts = Vec::new();
    let mut index = Index::default();
    for (bytes, number) in bodies.iter().zip(1..) {
        let miss = |bytes, why: String| Miss {
            name: dialect.name().to_owned(),
            framed: false,
            bytes,
            why: format!("message {number}: {why}"),
        };
        if let Err(error) = dialect.decode(bytes, &mut index) {
            return Err(miss(error.offset, error.to_string()));
        }
        let message = Message { bytes, index: &index, dialect: &dialect };
        if dialects::again(&message).ok().as_deref() != Some(bytes) {
            return Err(miss(u32::from(index.end), "is written differently".to_owned()));
        }
        guess::doubts(&message, &mut doubts);
    }
    doubts.sort();
    doubts.dedup();
    Ok((dialect, doubts))
}

fn rank(fit: &Fit) -> (usize, bool, usize, &str) {
    (fit.doubts.len(), !fit.own_header, 100 - fit.strictness, fit.dialect.name())
}

fn print(out: &mut impl Write, fits: &[Fit], mut misses: Vec<Miss>) -> io::Result<()> {
    for (place, fit) in fits.iter().take(FITS_SHOWN).enumerate() {
        let Fit { dialect, frame, doubts, strictness, .. } = fit;
        writeln!(out, "{}. {}: {}", place + 1, dialect.name(), dialect.spec.about)?;
        writeln!(out, "   frame {frame}; header {}", explain::header(&dialect.spec.header))?;
        writeln!(out, "   rejects {strictness} % of these messages with one byte damaged")?;
        for doubt in doubts {
            writeln!(out, "   against it: {doubt}")?;
        }
        if let (Some(first), true) = (fits.first(), place > 0)
            && doubts.is_empty()
        {
            let less = *strictness < first.strictness;
            let why = if less { "it is less strict" } else { "only its name comes later" };
            writeln!(out, "   against it: {why}")?;
        }
    }
    if fits.len() > FITS_SHOWN {
        writeln!(out, "and {} more that fit", fits.len() - FITS_SHOWN)?;
    }
    if fits.is_empty() {
        writeln!(out, "no shipped dialect reads all messages and writes the same bytes")?;
    }
    // Where a frame fits all messages to the byte, reading it as part of the message is no miss.
    if misses.iter().any(|miss| miss.framed) {
        misses.retain(|miss| miss.framed);
    }
    misses.retain(|miss| fits.iter().all(|fit| fit.dialect.name() != miss.name));
    misses.sort_by_key(|miss| u32::MAX - miss.bytes);
    if !misses.is_empty() {
        writeln!(out, "these do not fit; the nearest first:")?;
    }
    for Miss { name, why, .. } in misses.iter().take(MISSES_SHOWN) {
        writeln!(out, "   {name}: {why}")?;
    }
    Ok(())
}

const FITS_SHOWN: usize = 5;
const MISSES_SHOWN: usize = 5;

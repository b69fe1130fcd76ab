//! Messages nobody here wrote, and what becomes of them when they are damaged.
//!
//! `vectors.json` beside this file holds those whose licence allows it. A larger collection is read
//! from beside the repository where it is at hand; without it those tests say so and pass.

mod command;
mod damage;
mod defects;
mod random;
mod vectors;
mod walks;

use std::collections::BTreeMap;
use std::sync::Arc;

use authswitch::app::dialects;
use authswitch::app::json::read_hex;
use authswitch::iso8583::dialect::Dialect;
use serde::Deserialize;

/// A message and what is known about it.
#[derive(Debug, Deserialize)]
struct Vector {
    id: String,
    dialect: String,
    raw_hex: String,
    decoded: Option<Decoded>,
    #[serde(default)]
    expect_error: bool,
}

/// What two independent decoders read.
#[derive(Debug, Deserialize)]
struct Decoded {
    mti: String,
    fields: BTreeMap<String, String>,
    #[serde(default)]
    header_hex: String,
}

#[derive(Deserialize)]
struct Collection {
    vectors: Vec<Vector>,
}

/// The vectors carried in the repository, then those beside it.
fn all_vectors() -> Vec<Vector> {
    let own = include_str!("vectors.json");
    let mut vectors: Vec<Vector> = serde_json::from_str(own).expect("own vectors");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/iso8583/vectors.json");
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let more: Collection = serde_json::from_str(&text).expect("collected vectors");
            vectors.extend(more.vectors);
        }
        Err(_) => eprintln!("no collected vectors beside the repository: own ones only"),
    }
    vectors
}

/// The vectors with their bytes and dialect, those to be rejected left out.
fn sound_vectors() -> Vec<(Vector, Vec<u8>, Arc<Dialect>)> {
    let sound = all_vectors().into_iter().filter(|vector| !vector.expect_error);
    sound
        .map(|v| (bytes(&v.raw_hex), v))
        .map(|(b, v)| (dialect(&v.dialect), b, v))
        .map(|(d, b, v)| (v, b, d))
        .collect()
}

fn dialect(name: &str) -> Arc<Dialect> {
    dialects::load(name).unwrap_or_else(|mistakes| {
        let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        panic!("{}", lines.join("\n"))
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    read_hex(hex.as_bytes(), &mut bytes).expect("hexadecimal");
    bytes
}

//! Floor 1: bytes to messages and back. Knows ISO 8583, not transactions.
//!
//! Reading order: [`spec`] says what a dialect can say, [`dialect`] compiles it to a flat table,
//! [`decode`] walks a message once to an [`decode::Index`] of offsets, [`message`] looks at
//! it, [`encode`] writes and patches, [`transcode`] carries a message from one dialect to another.

pub mod bitmap;
pub mod charset;
pub mod composite;
pub mod decode;
pub mod dialect;
pub mod digits;
pub mod encode;
pub mod error;
pub mod field;
pub mod frame;
pub mod kept;
mod kept_form;
pub mod message;
pub mod mti;
pub mod names;
pub mod qr;
pub mod scan;
mod span;
pub mod spec;
pub mod tlv;
pub mod transcode;
mod twin;
pub mod value;

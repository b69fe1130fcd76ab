//! What a row shows of a message.
//!
//! A dialect that does not fit could take the digits of an account number for something that may
//! be shown. So a message is believed only if what the record says of it apart is found where the
//! dialect finds it: the place of DE 2, or the STAN.

use super::{Column, Row};
use crate::base::pan;
use crate::iso8583::decode::Index;
use crate::iso8583::dialect::Dialect;
use crate::iso8583::encode;
use crate::iso8583::frame::{self, Cut};
use crate::iso8583::message::Message;

/// What was kept of a request: what stands before its account number, that, and what is behind.
pub(in crate::app) fn kept<'m>(
    dialect: &'m Dialect,
    [head, account, tail]: [&[u8]; 3],
    index: &'m mut Index,
    scratch: &'m mut Vec<u8>,
) -> Option<Message<'m>> {
    scratch.clear();
    encode::template_header(dialect, scratch);
    scratch.extend_from_slice(head);
    let start = scratch.len();
    scratch.extend_from_slice(account);
    let end = scratch.len();
    scratch.extend_from_slice(tail);
    dialect.decode(scratch, index).ok()?;
    let message = Message { bytes: scratch, index, dialect };
    let fits = match index.span(2) {
        Some(span) => (usize::from(span.start), usize::from(span.end)) == (start, end),
        None => account.is_empty(),
    };
    fits.then_some(message)
}

/// A framed message that carries this STAN.
pub(super) fn framed<'m>(
    dialect: &'m Dialect,
    bytes: &'m [u8],
    stan: u32,
    index: &'m mut Index,
) -> Option<Message<'m>> {
    let Cut::Frame { start, end, next } = frame::cut(&dialect.spec.framing, bytes) else {
        return None;
    };
    let body = bytes.get(start..end).filter(|_| next == bytes.len())?;
    dialect.decode(body, index).ok()?;
    let message = Message { bytes: body, index, dialect };
    (message.number(11) == Some(u64::from(stan))).then_some(message)
}

pub(super) fn mti(message: &Message<'_>, row: &mut Row) {
    row.text(Column::Mti, &message.mti().ascii());
}

/// The columns from the currency to the RRN.
pub(super) fn columns(message: Option<&Message<'_>>, token: Option<u64>, row: &mut Row) {
    if let Some(message) = message {
        row.text(Column::Currency, &message.text::<3>(49).unwrap_or_default());
        if let Some(account) = message.pan() {
            let digits = String::from_utf8_lossy(account.reveal()).into_owned();
            row.text(Column::Pan, pan::masked(&digits).as_bytes());
        }
    }
    token.iter().for_each(|token| row.token(Column::Card, *token));
    if let Some(message) = message {
        row.text(Column::Terminal, &message.text::<8>(41).unwrap_or_default());
        row.text(Column::Merchant, &message.text::<15>(42).unwrap_or_default());
        row.text(Column::Rrn, &message.text::<12>(37).unwrap_or_default());
    }
}

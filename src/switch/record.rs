//! What must survive the process: records, as bytes.
//!
//! A record says that something happened to a transaction; read in order they say what became of
//! it. Account data stands apart from the rest ([`Records::secret`]), so that whoever stores it
//! can store it otherwise. The format is ours alone: kind, length, body, little-endian. Nothing
//! here knows files, and nothing here decides.

use crate::base::ids::LinkId;
use crate::base::money::{Amount, Currency};

use super::recent::TerminalKey;
use super::saf::Kind;

/// Records of one turn, and what becomes of them.
#[derive(Debug, Default)]
pub struct Records {
    /// False where nothing is to survive: then nothing is written.
    pub on: bool,
    /// The records.
    pub clear: Vec<u8>,
    /// Account data they refer to, in their order.
    pub secret: Vec<u8>,
    /// They tell of obligations: they are stored from the reserve if need be.
    pub urgent: bool,
}

/// Something that happened to a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record<'r> {
    /// It is about to be sent to a partner.
    Intent(Intent<'r>),
    /// The partner answered.
    Outcome(Outcome),
    /// The kernel has taken its approval whole: the terminal may have seen it.
    Handed(u64),
    /// Its terminal took it back.
    TakenBack(u64),
    /// The terminal was refused without asking anybody; a later request with this key is too.
    Refused(Refused<'r>),
    /// A message is owed to a partner.
    Owed(Owed<'r>),
    /// It may have been sent.
    Sent(u64),
    /// It was sent, and the partner said that it does not know what it takes back. Written as a
    /// longer [`Self::Sent`]: whoever does not know it takes it for that, which is true too. A
    /// `Sent` behind it says that this counts no more.
    NotFound {
        /// Of which message.
        id: u64,
        /// When it said so first, in seconds for which this installation had run by then: no clock
        /// that steps can end a late window.
        ran_s: u64,
    },
    /// The partner has taken it.
    Done(u64),
    /// The partner will never take it: DE 39. A person must look.
    Exception(u64, u8),
    /// It was approved in the place of its partner.
    StoodIn(StoodIn<'r>),
    /// A person has closed what came of it, and nobody need look again.
    Closed(Closed<'r>),
    /// It gives back what another took, or takes what another holds. Stands beside its intent.
    Weight(Weight),
}

/// See [`Record::Intent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intent<'r> {
    /// Its identity.
    pub id: u64,
    /// Unix seconds.
    pub at_s: u64,
    /// Who asks.
    pub acquirer: LinkId,
    /// Who is asked.
    pub partner: LinkId,
    /// The STAN the partner is sent.
    pub stan: u32,
    /// By what it is known again.
    pub key: TerminalKey,
    /// DE 4, if there is one.
    pub amount: Option<u64>,
    /// What is kept of it before and behind its account number.
    pub head: &'r [u8],
    /// See `head`.
    pub tail: &'r [u8],
    /// The account number: DE 2 with its length. Stands among the secrets.
    pub pan: &'r [u8],
}

/// See [`Record::Outcome`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Of which transaction.
    pub id: u64,
    /// True if it approves.
    pub approved: bool,
    /// DE 39 as handed on, space padded.
    pub code: [u8; 3],
    /// DE 38.
    pub approval: Option<[u8; 6]>,
    /// DE 4 of a partial approval.
    pub part: Option<u64>,
}

/// See [`Record::StoodIn`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoodIn<'r> {
    /// Of which transaction.
    pub id: u64,
    /// Unix seconds.
    pub at_s: u64,
    /// How many workers there were, each with its part of the limits.
    pub workers: u8,
    /// What was approved.
    pub amount: Amount,
    /// Keyed hash of the card or payment code.
    pub card: u64,
    /// Keyed hash of the merchant.
    pub merchant: u64,
    /// The name of the route whose limits it weighs on.
    pub route: &'r [u8],
}

/// See [`Record::Refused`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused<'r> {
    /// Its identity.
    pub id: u64,
    /// Whose terminal.
    pub acquirer: LinkId,
    /// By what it is known again.
    pub key: TerminalKey,
    /// DE 39.
    pub code: [u8; 3],
    /// The name of the rule that declined it, 255 bytes at most; empty if none did. It stands at
    /// the end: records without it are older ones, and whoever does not know it leaves it unread.
    pub rule: &'r [u8],
}

/// See [`Record::Owed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owed<'r> {
    /// Of which transaction.
    pub id: u64,
    /// To whom.
    pub partner: LinkId,
    /// The STAN it carries.
    pub stan: u32,
    /// What it is.
    pub kind: Kind,
    /// The message, framed. Stands among the secrets.
    pub message: &'r [u8],
}

/// See [`Record::Weight`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weight {
    /// Of which transaction.
    pub id: u64,
    /// Of which it is the refund, the void or the completion.
    pub of: u64,
    /// In minor units.
    pub amount: u64,
    /// What it does to that.
    pub side: Side,
}

/// What a transaction does to the one that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Gives back what that took: a refund or a void.
    Back,
    /// Takes what that holds: a completion.
    Taken,
}

/// See [`Record::Closed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed<'r> {
    /// Of which transaction.
    pub id: u64,
    /// Unix seconds.
    pub at_s: u64,
    /// True if its message was still owed, and is not any more. False leaves what is owed alone:
    /// it may have come to be owed since the person looked.
    pub ends_debt: bool,
    /// Who did it, 255 bytes at most.
    pub by: &'r [u8],
    /// Why.
    pub reason: &'r [u8],
}

impl Records {
    /// Appends a record, if records are kept.
    #[inline]
    pub fn push(&mut self, record: &Record<'_>) {
        if self.on {
            self.append(record);
        }
    }

    fn append(&mut self, record: &Record<'_>) {
        let out = &mut self.clear;
        let start = out.len();
        out.extend_from_slice(&[0, 0, 0]);
        let kind = match *record {
            Record::Intent(intent) => {
                write_intent(out, &intent);
                self.secret.extend_from_slice(intent.pan);
                1
            }
            Record::Outcome(outcome) => {
                write_outcome(out, &outcome);
                2
            }
            Record::Handed(id) => only_id(out, id, 3),
            Record::TakenBack(id) => only_id(out, id, 4),
            Record::Refused(refused) => {
                write_refused(out, &refused);
                5
            }
            Record::Owed(owed) => {
                out.extend_from_slice(&owed.id.to_le_bytes());
                out.extend_from_slice(&owed.partner.0.to_le_bytes());
                out.extend_from_slice(&owed.stan.to_le_bytes());
                out.push(u8::from(owed.kind == Kind::Advice));
                out.extend_from_slice(&(owed.message.len() as u16).to_le_bytes());
                self.secret.extend_from_slice(owed.message);
                6
            }
            Record::Sent(id) => only_id(out, id, 7),
            Record::NotFound { id, ran_s } => {
                out.extend_from_slice(&id.to_le_bytes());
                out.extend_from_slice(&ran_s.to_le_bytes());
                7
            }
            Record::Done(id) => only_id(out, id, 8),
            Record::Exception(id, code) => {
                out.extend_from_slice(&id.to_le_bytes());
                out.push(code);
                9
            }
            Record::StoodIn(stood_in) => {
                write_stood_in(out, &stood_in);
                10
            }
            Record::Closed(closed) => {
                write_closed(out, &closed);
                11
            }
            Record::Weight(weight) => {
                write_weight(out, &weight);
                12
            }
        };
        self.urgent |= matches!(
            record,
            Record::Owed(_)
                | Record::Sent(_)
                | Record::NotFound { .. }
                | Record::Done(_)
                | Record::Exception(..)
                | Record::Closed(_)
        );
        let bytes = (out.len() - start - 3) as u16;
        if let Some([slot, low, high]) = out.get_mut(start..start + 3) {
            (*slot, [*low, *high]) = (kind, bytes.to_le_bytes());
        }
    }
}

/// Reads records back; ends at the first that makes no sense, which whoever stored them rules out.
pub fn read<'r>(clear: &'r [u8], secret: &'r [u8]) -> impl Iterator<Item = Record<'r>> {
    let mut rest = Reader(clear);
    let mut secrets = Reader(secret);
    std::iter::from_fn(move || {
        let kind = rest.u8()?;
        let bytes = rest.u16()?;
        let mut body = Reader(rest.take(usize::from(bytes))?);
        Some(match kind {
            1 => Record::Intent(read_intent(&mut body, &mut secrets)?),
            2 => Record::Outcome(read_outcome(&mut body)?),
            3 => Record::Handed(body.u64()?),
            4 => Record::TakenBack(body.u64()?),
            5 => Record::Refused(read_refused(&mut body)?),
            6 => {
                let (id, partner, stan) = (body.u64()?, LinkId(body.u16()?), body.u32()?);
                let kind = if body.u8()? == 1 { Kind::Advice } else { Kind::Reversal };
                let message = secrets.take(usize::from(body.u16()?))?;
                Record::Owed(Owed { id, partner, stan, kind, message })
            }
            7 => match (body.u64()?, body.u64()) {
                (id, None) => Record::Sent(id),
                (id, Some(ran_s)) => Record::NotFound { id, ran_s },
            },
            8 => Record::Done(body.u64()?),
            9 => Record::Exception(body.u64()?, body.u8()?),
            10 => Record::StoodIn(read_stood_in(&mut body)?),
            11 => {
                let (id, at_s, ends_debt) = (body.u64()?, body.u64()?, body.u8()? == 1);
                let bytes = body.u8()?;
                let by = body.take(usize::from(bytes))?;
                Record::Closed(Closed { id, at_s, ends_debt, by, reason: body.0 })
            }
            12 => Record::Weight(read_weight(&mut body)?),
            _ => return None,
        })
    })
}

fn only_id(out: &mut Vec<u8>, id: u64, kind: u8) -> u8 {
    out.extend_from_slice(&id.to_le_bytes());
    kind
}

#[inline]
fn write_intent(out: &mut Vec<u8>, intent: &Intent<'_>) {
    let Intent { id, at_s, acquirer, partner, stan, key, amount, head, tail, pan } = *intent;
    out.extend_from_slice(&id.to_le_bytes());
    out.extend_from_slice(&at_s.to_le_bytes());
    out.extend_from_slice(&acquirer.0.to_le_bytes());
    out.extend_from_slice(&partner.0.to_le_bytes());
    out.extend_from_slice(&stan.to_le_bytes());
    write_key(out, &key);
    out.extend_from_slice(&amount.unwrap_or(u64::MAX).to_le_bytes());
    out.push(pan.len() as u8);
    out.push(head.len() as u8);
    out.extend_from_slice(head);
    out.extend_from_slice(tail);
}

fn read_intent<'r>(body: &mut Reader<'r>, secrets: &mut Reader<'r>) -> Option<Intent<'r>> {
    let (id, at_s) = (body.u64()?, body.u64()?);
    let (acquirer, partner) = (LinkId(body.u16()?), LinkId(body.u16()?));
    let (stan, key) = (body.u32()?, read_key(body)?);
    let amount = Some(body.u64()?).filter(|amount| *amount != u64::MAX);
    let pan = secrets.take(usize::from(body.u8()?))?;
    let head = body.u8()?;
    let head = body.take(usize::from(head))?;
    Some(Intent { id, at_s, acquirer, partner, stan, key, amount, head, tail: body.0, pan })
}

fn write_outcome(out: &mut Vec<u8>, outcome: &Outcome) {
    out.extend_from_slice(&outcome.id.to_le_bytes());
    out.push(u8::from(outcome.approved) | u8::from(outcome.approval.is_some()) << 1);
    out.extend_from_slice(&outcome.code);
    out.extend_from_slice(&outcome.approval.unwrap_or_default());
    out.extend_from_slice(&outcome.part.unwrap_or(u64::MAX).to_le_bytes());
}

fn read_outcome(body: &mut Reader<'_>) -> Option<Outcome> {
    let (id, flags) = (body.u64()?, body.u8()?);
    let code = body.array()?;
    let approval: [u8; 6] = body.array()?;
    let part = Some(body.u64()?).filter(|part| *part != u64::MAX);
    let approval = (flags & 2 != 0).then_some(approval);
    Some(Outcome { id, approved: flags & 1 != 0, code, approval, part })
}

fn write_stood_in(out: &mut Vec<u8>, stood_in: &StoodIn<'_>) {
    let StoodIn { id, at_s, workers, amount, card, merchant, route } = *stood_in;
    for number in [id, at_s, amount.minor, card, merchant] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&amount.currency.number().to_le_bytes());
    out.push(workers);
    out.extend_from_slice(route);
}

fn read_stood_in<'r>(body: &mut Reader<'r>) -> Option<StoodIn<'r>> {
    let (id, at_s, minor) = (body.u64()?, body.u64()?, body.u64()?);
    let (card, merchant) = (body.u64()?, body.u64()?);
    let currency = Currency::from_number(body.u16()?).unwrap_or_default();
    let (workers, amount) = (body.u8()?, Amount { minor, currency });
    Some(StoodIn { id, at_s, workers, amount, card, merchant, route: body.0 })
}

fn write_refused(out: &mut Vec<u8>, refused: &Refused<'_>) {
    out.extend_from_slice(&refused.id.to_le_bytes());
    out.extend_from_slice(&refused.acquirer.0.to_le_bytes());
    write_key(out, &refused.key);
    out.extend_from_slice(&refused.code);
    out.extend_from_slice(refused.rule);
}

fn read_refused<'r>(body: &mut Reader<'r>) -> Option<Refused<'r>> {
    let (id, acquirer) = (body.u64()?, LinkId(body.u16()?));
    let (key, code) = (read_key(body)?, body.array()?);
    Some(Refused { id, acquirer, key, code, rule: body.0 })
}

fn write_closed(out: &mut Vec<u8>, closed: &Closed<'_>) {
    out.extend_from_slice(&closed.id.to_le_bytes());
    out.extend_from_slice(&closed.at_s.to_le_bytes());
    out.push(u8::from(closed.ends_debt));
    out.push(closed.by.len() as u8);
    out.extend_from_slice(closed.by);
    out.extend_from_slice(closed.reason);
}

fn write_weight(out: &mut Vec<u8>, weight: &Weight) {
    for number in [weight.id, weight.of, weight.amount] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    // A refund is written as it was when nothing else was.
    if weight.side == Side::Taken {
        out.push(1);
    }
}

fn read_weight(body: &mut Reader<'_>) -> Option<Weight> {
    let (id, of, amount) = (body.u64()?, body.u64()?, body.u64()?);
    let side = if body.u8() == Some(1) { Side::Taken } else { Side::Back };
    Some(Weight { id, of, amount, side })
}

#[inline]
fn write_key(out: &mut Vec<u8>, key: &TerminalKey) {
    for word in [key.hash, key.moment, key.fingerprint] {
        out.extend_from_slice(&word.to_le_bytes());
    }
}

fn read_key(body: &mut Reader<'_>) -> Option<TerminalKey> {
    Some(TerminalKey { hash: body.u64()?, moment: body.u64()?, fingerprint: body.u64()? })
}

/// Bytes that are read from the front.
struct Reader<'r>(&'r [u8]);

impl<'r> Reader<'r> {
    fn take(&mut self, bytes: usize) -> Option<&'r [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests;

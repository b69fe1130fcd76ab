//! Copies of a request that wait for the same answer as the first.
//!
//! What it is not: it does not know which request is a copy of which, see `repeat.rs`.

use crate::base::ids::SessionId;

/// Repeats that wait for one answer: where they came from, and their header. All are of the link
/// of the first copy, so their headers are of one length, and stand one behind the other. What they
/// took stays with the cell.
#[derive(Debug, Clone, Default)]
pub struct Repeats {
    count: u32,
    copies: Option<Box<Copies>>,
}

#[derive(Debug, Clone, Default)]
struct Copies {
    sessions: Vec<SessionId>,
    headers: Vec<u8>,
}

impl Repeats {
    /// How many wait.
    #[inline]
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// True if none waits.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// One more waits; `header` is as long as those before.
    pub fn push(&mut self, session: SessionId, header: &[u8]) {
        let count = self.len();
        let copies = self.copies.get_or_insert_default();
        debug_assert_eq!(copies.headers.len(), count * header.len(), "of one link");
        copies.sessions.push(session);
        copies.headers.extend_from_slice(header);
        self.count += 1;
    }

    /// Where they came from, with their headers, in the order in which they came.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (SessionId, &[u8])> {
        let copies = self.copies.as_deref().filter(|_| !self.is_empty());
        let (sessions, headers) =
            copies.map_or((&[][..], &[][..]), |copies| (&copies.sessions[..], &copies.headers[..]));
        let bytes = headers.len().checked_div(sessions.len()).unwrap_or(0);
        let header = move |place| headers.get(place * bytes..(place + 1) * bytes);
        let header = move |place| header(place).unwrap_or(&[]);
        sessions.iter().enumerate().map(move |(place, session)| (*session, header(place)))
    }

    /// The last of them waits no more.
    pub fn pop(&mut self) -> Option<SessionId> {
        let copies = self.copies.as_mut()?;
        let session = copies.sessions.pop()?;
        self.count -= 1;
        if self.count == 0 {
            copies.headers.clear();
        }
        Some(session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_come_back_with_their_headers_and_leave_their_room() {
        for bytes in [0, 1, 5] {
            let mut repeats = Repeats::default();
            let session = |slot| SessionId { slot, generation: 1 };
            let header = |slot: u32| vec![slot as u8; bytes];
            for round in 0..3 {
                let copies: Vec<_> =
                    (0..round * 3).map(|slot| (session(slot), header(slot))).collect();
                copies.iter().for_each(|(session, header)| repeats.push(*session, header));
                let found: Vec<_> =
                    repeats.iter().map(|(of, bytes)| (of, bytes.to_vec())).collect();
                assert_eq!(found, copies);
                assert_eq!((repeats.len(), repeats.is_empty()), (copies.len(), round == 0));
                let ended = std::iter::from_fn(|| repeats.pop());
                assert!(ended.eq(copies.iter().rev().map(|(session, _)| *session)));
            }
            let room = repeats.copies.as_ref().map_or(0, |copies| copies.headers.capacity());
            assert!(room >= 6 * bytes, "room is kept");
        }
    }
}

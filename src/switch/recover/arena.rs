//! Many short strings of bytes in few pieces of memory: an object of the heap for each of a million
//! would take longer to make, and to free, than to read them from the disk.
//!
//! A piece is used again as soon as nothing in it is needed any more. It is no store for what lives
//! long among much that does not: one string keeps its whole piece.

/// Strings, and where they stand.
#[derive(Debug, Default)]
pub(super) struct Arena {
    /// Each with how many of its strings are still needed.
    pieces: Vec<(Vec<u8>, u32)>,
    /// Pieces that were given back.
    spares: Vec<Vec<u8>>,
}

/// Where a string stands.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    piece: u32,
    from: u32,
    bytes: u32,
}

impl Arena {
    /// Keeps the bytes of all `parts` in a row.
    pub(super) fn keep(&mut self, parts: &[&[u8]]) -> Place {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        let has_room = |(piece, _): &(Vec<u8>, u32)| piece.capacity() - piece.len() >= bytes;
        if !self.pieces.last().is_some_and(has_room) {
            self.leave();
            let spare = self.spares.pop().filter(|spare| spare.capacity() >= bytes);
            let piece = spare.unwrap_or_else(|| Vec::with_capacity(bytes.max(PIECE_BYTES)));
            self.pieces.push((piece, 0));
        }
        let number = self.pieces.len() as u32 - 1;
        let Some((piece, needed)) = self.pieces.last_mut() else { return Place::default() };
        let from = piece.len() as u32;
        parts.iter().for_each(|part| piece.extend_from_slice(part));
        *needed += 1;
        Place { piece: number, from, bytes: bytes as u32 }
    }

    /// The bytes at `place`; none if they are not kept any more.
    pub(super) fn at(&self, place: Place) -> &[u8] {
        let (from, bytes) = (place.from as usize, place.bytes as usize);
        let piece = self.pieces.get(place.piece as usize);
        piece.and_then(|(piece, _)| piece.get(from..from + bytes)).unwrap_or(&[])
    }

    /// What stands at `place` is not needed any more. Said once of each.
    pub(super) fn free(&mut self, place: Place) {
        let is_last = place.piece as usize + 1 == self.pieces.len();
        let Some((piece, needed)) = self.pieces.get_mut(place.piece as usize) else { return };
        *needed = needed.saturating_sub(1);
        if *needed == 0 && !is_last {
            let piece = std::mem::take(piece);
            self.spare(piece);
        }
    }

    /// The last piece is full: it may have been emptied already.
    fn leave(&mut self) {
        if let Some((piece, 0)) = self.pieces.last_mut() {
            let piece = std::mem::take(piece);
            self.spare(piece);
        }
    }

    fn spare(&mut self, mut piece: Vec<u8>) {
        piece.clear();
        self.spares.push(piece);
    }
}

/// Some thousand messages.
const PIECE_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_kept_is_there_until_it_is_freed(
            acts in prop::collection::vec((0..30_000usize, any::<bool>(), any::<usize>()), 1..200)
        ) {
            let mut arena = Arena::default();
            let mut model: Vec<(Place, Vec<u8>)> = Vec::new();
            for (bytes, frees, which) in acts {
                if frees && !model.is_empty() {
                    let (place, _) = model.swap_remove(which % model.len());
                    arena.free(place);
                }
                let text: Vec<u8> = (0..bytes).map(|at| (at ^ which) as u8).collect();
                let (head, tail) = text.split_at(bytes / 3);
                model.push((arena.keep(&[head, tail]), text));
                for (place, text) in &model {
                    prop_assert_eq!(arena.at(*place), &text[..]);
                }
            }
            let held: usize = arena.pieces.iter().filter(|piece| !piece.0.is_empty()).count();
            let mut used: Vec<u32> = model.iter().map(|(place, _)| place.piece).collect();
            used.sort_unstable();
            used.dedup();
            prop_assert!(held <= used.len() + 1, "{} pieces for {}", held, used.len());
        }
    }
}

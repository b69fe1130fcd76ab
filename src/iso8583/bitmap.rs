//! Which data elements a message has: up to three bitmaps as one value.

/// Elements 1 to 192. Element 1 (and 65 where it extends) marks the next bitmap, not data.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Bitmap {
    words: [u64; 3],
}

impl Bitmap {
    /// A bitmap of its three 64-bit words, most significant bit first as on the wire.
    pub const fn from_words(words: [u64; 3]) -> Self {
        Self { words }
    }

    /// The three words.
    pub const fn words(&self) -> [u64; 3] {
        self.words
    }

    /// True if `element` (1 to 192) is there.
    pub const fn has(&self, element: u8) -> bool {
        let place = element.wrapping_sub(1);
        place < 192 && self.words[(place >> 6) as usize] << (place & 63) >> 63 == 1
    }

    /// Adds `element`, 1 to 192.
    pub const fn insert(&mut self, element: u8) {
        debug_assert!(element >= 1 && element <= 192);
        let place = element.wrapping_sub(1);
        if place < 192 {
            self.words[(place >> 6) as usize] |= 1 << (63 - (place & 63));
        }
    }

    /// Takes `element` out.
    pub const fn remove(&mut self, element: u8) {
        let place = element.wrapping_sub(1);
        if place < 192 {
            self.words[(place >> 6) as usize] &= !(1 << (63 - (place & 63)));
        }
    }

    /// Elements of both.
    #[must_use]
    pub const fn and(&self, other: &Self) -> Self {
        Self {
            words: [
                self.words[0] & other.words[0],
                self.words[1] & other.words[1],
                self.words[2] & other.words[2],
            ],
        }
    }

    /// Elements of this that the other does not have.
    #[must_use]
    pub const fn without(&self, other: &Self) -> Self {
        Self {
            words: [
                self.words[0] & !other.words[0],
                self.words[1] & !other.words[1],
                self.words[2] & !other.words[2],
            ],
        }
    }

    /// True if nothing is there.
    pub const fn is_empty(&self) -> bool {
        self.words[0] | self.words[1] | self.words[2] == 0
    }

    /// The lowest element, if any.
    pub const fn first(&self) -> Option<u8> {
        let mut word = 0;
        while word < 3 {
            if self.words[word] != 0 {
                return Some(word as u8 * 64 + self.words[word].leading_zeros() as u8 + 1);
            }
            word += 1;
        }
        None
    }

    /// The highest element, if any.
    pub const fn last(&self) -> Option<u8> {
        let mut word = 3;
        while word > 0 {
            word -= 1;
            if self.words[word] != 0 {
                return Some(word as u8 * 64 + 64 - self.words[word].trailing_zeros() as u8);
            }
        }
        None
    }

    /// The elements in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u8> + use<> {
        let mut rest = *self;
        std::iter::from_fn(move || {
            let element = rest.first()?;
            rest.remove(element);
            Some(element)
        })
    }
}

impl FromIterator<u8> for Bitmap {
    fn from_iter<T: IntoIterator<Item = u8>>(elements: T) -> Self {
        let mut bitmap = Self::default();
        for element in elements {
            bitmap.insert(element);
        }
        bitmap
    }
}

impl std::fmt::Debug for Bitmap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_come_back_in_order() {
        let elements = [1, 2, 63, 64, 65, 66, 128, 129, 192];
        let bitmap: Bitmap = elements.into_iter().collect();
        assert_eq!(bitmap.iter().collect::<Vec<_>>(), elements);
        assert_eq!((bitmap.first(), bitmap.last()), (Some(1), Some(192)));
        assert!(bitmap.has(64) && !bitmap.has(3) && !bitmap.has(0) && !bitmap.has(193));
        assert_eq!(Bitmap::default().first(), None);
        assert_eq!(Bitmap::default().last(), None);
    }

    #[test]
    fn set_operations() {
        let few: Bitmap = [2, 4, 90].into_iter().collect();
        let many: Bitmap = [2, 3, 4].into_iter().collect();
        assert_eq!(few.and(&many), [2, 4].into_iter().collect());
        assert_eq!(few.without(&many), [90].into_iter().collect());
    }
}

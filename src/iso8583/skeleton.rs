//! EMV structures seen before: proven by comparing their tags and lengths with those of a twin.
//!
//! Terminals of one kind send the same tags with the same lengths, only other values. If every tag
//! and length stands where it stood in an element that was checked, all that the check would look
//! at is the same, and so is what it would say: a comparison a tag instead of a walk.

use super::error::Reason;
use super::tlv::{self, TlvRules};

/// The structures one decoder has met lately.
#[derive(Debug, Clone)]
pub(super) struct Skeletons {
    slots: Vec<Skeleton>,
}

/// Where the tags and lengths of one element stand.
#[derive(Debug, Clone, Copy)]
struct Skeleton {
    /// By whose rules it was checked.
    key: u64,
    bytes: u16,
    accounts: bool,
    count: u8,
    bones: [Bone; BONES_MAX],
}

/// Four bytes of the element, and which of them are tag and length.
#[derive(Debug, Clone, Copy, Default)]
struct Bone {
    at: u16,
    mask: u32,
    head: u32,
}

impl Default for Skeletons {
    fn default() -> Self {
        let empty = Skeleton {
            key: 0,
            bytes: 0,
            accounts: false,
            count: 0,
            bones: [Bone::default(); BONES_MAX],
        };
        Self { slots: vec![empty; SKELETONS_MAX] }
    }
}

impl Skeletons {
    /// Says what [`tlv::check`] says of `element` by `rules`, which `key` tells apart.
    #[inline]
    pub(super) fn check(
        &mut self,
        element: &[u8],
        rules: &TlvRules,
        key: u64,
    ) -> Result<bool, Reason> {
        let place = (element.len() ^ key as usize) % SKELETONS_MAX;
        let known = self.slots.get(place).filter(|slot| slot.fits(element, key));
        if let Some(slot) = known {
            return Ok(slot.accounts);
        }
        let accounts = tlv::check(element, rules)?;
        if let (Some(slot), Ok(bytes)) = (self.slots.get_mut(place), element.len().try_into()) {
            (slot.key, slot.bytes, slot.accounts) = (key, bytes, accounts);
            slot.learn(element);
        }
        Ok(accounts)
    }
}

impl Skeleton {
    #[inline(always)]
    fn fits(&self, element: &[u8], key: u64) -> bool {
        if self.key != key || usize::from(self.bytes) != element.len() || self.count == 0 {
            return false;
        }
        let differs = |bone: &Bone| {
            let at = usize::from(bone.at);
            let word = element.get(at..).and_then(|rest| rest.first_chunk::<4>());
            word.map_or(1, |word| u32::from_le_bytes(*word) & bone.mask ^ bone.head)
        };
        let bones = self.bones.get(..usize::from(self.count)).unwrap_or(&[]);
        bones.iter().fold(0, |found, bone| found | differs(bone)) == 0
    }

    /// Notes the tags and lengths of a sound element. One with templates, with filler between its
    /// objects, or with more objects than there is room for is not kept.
    fn learn(&mut self, element: &[u8]) {
        self.count = 0;
        let mut count = 0;
        let mut at = 0;
        while let Some(Ok(object)) = element.get(at..).and_then(tlv::next) {
            let head = object.size - object.value.len();
            let is_filler = element.get(at) == Some(&0);
            let from = at.min(element.len().saturating_sub(4));
            let word = element.get(from..).and_then(|rest| rest.first_chunk::<4>());
            let (Some(word), Some(slot)) = (word, self.bones.get_mut(count)) else { return };
            if object.is_constructed() || is_filler || head > 4 || at - from + head > 4 {
                return;
            }
            let mask = ((1u64 << (8 * head)) - 1) << (8 * (at - from));
            let head = u32::from_le_bytes(*word) & mask as u32;
            *slot = Bone { at: from as u16, mask: mask as u32, head };
            (count, at) = (count + 1, at + object.size);
        }
        if at == element.len() {
            self.count = count as u8;
        }
    }
}

/// Objects of an element that is kept.
const BONES_MAX: usize = 32;

/// Structures kept.
const SKELETONS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A flat structure with tags from a small set, so that structures often repeat.
    fn element() -> impl Strategy<Value = Vec<u8>> {
        let tags = prop::sample::select(vec![
            vec![0x9Fu8, 0x26],
            vec![0x9F, 0x36],
            vec![0x95],
            vec![0x9C],
            vec![0x57],
            vec![0x5F, 0x2A],
            vec![0x70],
            vec![0x00],
        ]);
        let object = (tags, 0usize..4, any::<u8>()).prop_map(|(mut object, length, fill)| {
            object.push(length as u8);
            object.extend(std::iter::repeat_n(fill, length));
            object
        });
        prop::collection::vec(object, 0..6).prop_map(|objects| objects.concat())
    }

    proptest! {
        #[test]
        fn says_what_the_check_says(elements in prop::collection::vec(element(), 1..40)) {
            let rules = TlvRules::default();
            let mut skeletons = Skeletons::default();
            for element in elements {
                for _ in 0..2 {
                    let said = skeletons.check(&element, &rules, 7);
                    prop_assert_eq!(said, tlv::check(&element, &rules));
                }
                let mut damaged = element.clone();
                for place in 0..element.len() {
                    damaged[place] ^= 0x11;
                    let said = skeletons.check(&damaged, &rules, 7);
                    prop_assert_eq!(said, tlv::check(&damaged, &rules));
                    damaged[place] = element[place];
                }
            }
        }
    }
}
